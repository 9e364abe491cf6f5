package drivertest

const childVariable = "OUTBOX_TEST_CHILD"

func child(role string) int { return 2 }
