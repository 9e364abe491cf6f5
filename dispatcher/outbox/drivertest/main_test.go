package drivertest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stopServers()
		os.Exit(code)
	}))
}
