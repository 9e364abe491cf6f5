// Package deduptest is the conformance suite for implementations of dedup.Store.
//
//	func TestStore(t *testing.T) {
//		deduptest.Run(t, func(t *testing.T) dedup.Store { return newStore(t) }, deduptest.Options{})
//	}
package deduptest

import (
	"context"
	"errors"
	"fmt"
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
				r.run(newProbe(t.Context(), t, r, newStore(t), o))
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

// reporter is the part of testing.TB the rules use.
type reporter interface {
	Helper()
	Fatal(args ...any)
}

// probe calls a store on behalf of one rule.
type probe struct {
	tb    reporter
	ctx   context.Context
	rule  rule
	store dedup.Store
	unit  time.Duration // runs out in the sub-test
	long  time.Duration // longer than the sub-test takes
	wait  func(d time.Duration)
}

func newProbe(ctx context.Context, tb reporter, r rule, s dedup.Store, o Options) *probe {
	return &probe{tb: tb, ctx: ctx, rule: r, store: s, unit: o.Unit, long: max(time.Minute, 10*o.Unit), wait: o.Wait}
}

// fail ends the sub-test with what was seen and the rule.
func (p *probe) fail(format string, args ...any) {
	p.tb.Helper()
	p.tb.Fatal(fmt.Sprintf(format, args...) + "\nrule: " + p.rule.text)
}

// runOut waits until a lease or time to live of one unit has ended.
func (p *probe) runOut() { p.wait(2 * p.unit) }

// acquire claims a key that must be free and returns the token.
func (p *probe) acquire(key string, lease time.Duration) string {
	p.tb.Helper()
	c := p.claim(key, lease, dedup.Acquired)
	if c.Token == "" {
		p.fail("Claim acquired key %.40q without a token", key)
	}
	return c.Token
}

// claim claims key and checks the state.
func (p *probe) claim(key string, lease time.Duration, want dedup.State) dedup.Claim {
	p.tb.Helper()
	c, err := p.store.Claim(p.ctx, key, lease)
	if err != nil {
		p.fail("Claim of key %.40q: %v", key, err)
	}
	if c.State != want {
		p.fail("Claim of key %.40q: %v, want %v", key, c.State, want)
	}
	return c
}

// within checks a Remaining that must be positive and at most limit.
func (p *probe) within(c dedup.Claim, limit time.Duration) {
	p.tb.Helper()
	if c.Remaining <= 0 || c.Remaining > limit {
		p.fail("Remaining of a key %v is %v, want more than 0 and at most %v", c.State, c.Remaining, limit)
	}
}

func (p *probe) commit(key, token string, ttl time.Duration) {
	p.tb.Helper()
	if err := p.store.Commit(p.ctx, key, token, ttl); err != nil {
		p.fail("Commit of key %.40q by its owner: %v", key, err)
	}
}

func (p *probe) release(key, token string) {
	p.tb.Helper()
	if err := p.store.Release(p.ctx, key, token); err != nil {
		p.fail("Release of key %.40q by its owner: %v", key, err)
	}
}

// lost checks that token can neither commit nor release key.
func (p *probe) lost(key, token, why string) {
	p.tb.Helper()
	if err := p.store.Commit(p.ctx, key, token, p.long); !errors.Is(err, dedup.ErrLost) {
		p.fail("Commit %s: error %v, want ErrLost", why, err)
	}
	if err := p.store.Release(p.ctx, key, token); !errors.Is(err, dedup.ErrLost) {
		p.fail("Release %s: error %v, want ErrLost", why, err)
	}
}

// refuse checks that a call failed with want.
func (p *probe) refuse(call string, err, want error) {
	p.tb.Helper()
	if !errors.Is(err, want) {
		p.fail("%s: error %v, want %v", call, err, want)
	}
}
