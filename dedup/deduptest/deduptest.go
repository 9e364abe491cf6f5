// Package deduptest is the conformance suite for implementations of dedup.Store.
//
//	func TestStore(t *testing.T) {
//		deduptest.Run(t, func(t *testing.T) dedup.Store { return newStore(t) }, deduptest.Options{})
//	}
package deduptest

import (
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

const defaultUnit = 100 * time.Millisecond

// Options say how time passes for the store under test. The zero value waits in real time, about two seconds in all.
type Options struct {
	// Unit is the lease or time to live that the suite lets run out; it waits two units for that. Choose it longer
	// than the store's resolution and the duration of a call. 0 = 100 ms.
	Unit time.Duration
	// Wait lets d pass for the store. Default: it waits d on a timer. A store with a clock of its own moves it here.
	Wait func(d time.Duration)
	// Bubble runs the body of each sub-test, making the store included. Default: it is just called. With
	// testing/synctest.Test the suite takes no time, for stores that do no I/O.
	Bubble func(t *testing.T, body func(t *testing.T))
}

// Run checks a store against the rules of dedup.Store, a sub-test for each, and prints the rule that is broken.
//
// newStore is called once per sub-test and returns a store without keys, for example one with a key prefix of its
// own; it cleans up with t.Cleanup. The suite leaves claims behind whose lease is a minute
// or, if that is longer, ten units.
func Run(t *testing.T, newStore func(t *testing.T) dedup.Store, o Options) {
	t.Helper()
	o = o.withDefaults()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			o.Bubble(t, func(t *testing.T) {
				r.check(newProbe(t.Context(), t, r, newStore(t), o))
			})
		})
	}
}

func (o Options) withDefaults() Options {
	if o.Unit <= 0 {
		o.Unit = defaultUnit
	}
	if o.Wait == nil {
		o.Wait = func(d time.Duration) { <-time.After(d) }
	}
	if o.Bubble == nil {
		o.Bubble = func(t *testing.T, body func(t *testing.T)) { body(t) }
	}
	return o
}
