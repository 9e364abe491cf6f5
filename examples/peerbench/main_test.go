package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the tests be the receiver as well. Two peers have a goroutine for as long as the collector has not
// found their cache, or for ever.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == receiverRole {
		if receive(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1"),
	)
}
