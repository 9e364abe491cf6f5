//go:build !linux

package webhook_test

// socketPhases are only known for Linux.
func socketPhases() map[string]phase { return nil }
