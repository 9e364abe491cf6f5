// Package managetest is the conformance suite for implementations of manage.Documents.
//
//	func TestStore(t *testing.T) {
//		managetest.Run(t, managetest.Suite{New: func(t *testing.T) manage.Documents { return newStore(t) }})
//	}
//
// It has a sub-test per rule; a failure prints what was seen and the rule. A rule that needs what the store does not
// have is logged with the reason.
package managetest

import (
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Suite says how to make the store under test. Only New is required.
type Suite struct {
	// New returns an empty store, once per sub-test, and closes it with t.Cleanup.
	New func(t *testing.T) manage.Documents
	// Close closes a store that New returned, which may be closed again afterwards. nil = it has no such method.
	Close func(d manage.Documents) error
	// Network makes a store behind a network that can be cut. nil = there is none.
	Network func(t *testing.T) Network
	// Process lets the suite use the store from child processes. nil = it lives in one process and forgets.
	Process *Process

	// MaxSize is the size of the largest content the store says it takes. 0 = manage.MaxContent.
	MaxSize int
	// Secrets are texts that no error may contain, as the password of the store's server.
	Secrets []string
	// Timeout is how long the suite waits for what must happen. 0 = DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout is that of Suite.
const DefaultTimeout = 30 * time.Second

// Network is a store behind a network, and one that is not.
type Network struct {
	Documents manage.Documents // is cut off by Cut
	Other     manage.Documents // the same documents; is never cut off
	// Cut lets nothing pass any more, so that calls get no answer; Heal lets it pass again.
	Cut, Heal func()
}

// Run checks a store against the rules, a sub-test for each, side by side.
func Run(t *testing.T, s Suite) {
	t.Helper()
	s = s.withDefaults()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if reason := r.run(newProbe(t, t, r, s)); reason != "" {
				t.Logf("does not apply, because %s: %s", reason, r.text)
			}
		})
	}
}

func (s Suite) withDefaults() Suite {
	if s.MaxSize <= 0 {
		s.MaxSize = manage.MaxContent
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	return s
}
