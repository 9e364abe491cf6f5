package drivertest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if plan := os.Getenv(planVariable); plan != "" {
		runChild(plan)
		return
	}
	goleak.VerifyTestMain(suite{m})
}

// suite stops the servers behind the tests.
type suite struct{ *testing.M }

func (s suite) Run() int {
	defer stopServers()
	return s.M.Run()
}
