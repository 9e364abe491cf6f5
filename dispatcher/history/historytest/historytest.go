// Package historytest is the conformance suite for implementations of history.Store.
//
//	func TestStore(t *testing.T) {
//		historytest.Run(t, func(t *testing.T) history.Store { return newStore(t) }, historytest.Options{})
//	}
package historytest

import (
	"testing"

	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// Options say what else the store under test promises. The zero value is a store that need not survive anything.
type Options struct {
	// Reopen closes the store and opens it again on the same data, for durable ones; nil = the rule is left out.
	Reopen func(t *testing.T, s history.Store) history.Store
}

// Run checks a store against the rules of history.Store, a sub-test for each, and prints the rule that is broken.
//
// newStore is called once per sub-test and returns an empty store that keeps at least 5,000 entries; it cleans up with
// t.Cleanup.
func Run(t *testing.T, newStore func(t *testing.T) history.Store, o Options) {
	t.Helper()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			s := newStore(t)
			p := &probe{tb: t, ctx: t.Context(), rule: r, store: s}
			if o.Reopen != nil {
				p.reopen = func() history.Store { return o.Reopen(t, s) }
			}
			r.check(p)
		})
	}
}
