package deduptest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dedup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAcceptsACorrectStore(t *testing.T) {
	newStore := func(*testing.T) dedup.Store { return newNaive("") }
	t.Run("real time", func(t *testing.T) { Run(t, newStore, Options{}) })
	t.Run("bubble", func(t *testing.T) { Run(t, newStore, Options{Unit: time.Hour / 100, Bubble: synctest.Test}) })
}

// TestWaitOption: the option replaces every wait of the suite.
func TestWaitOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waited := time.Duration(0)
		wait := func(d time.Duration) { waited += d; <-time.After(d) }
		began := time.Now()
		leaseRule(newProbe(t.Context(), t, rule{}, newNaive(""), Options{Unit: time.Second, Wait: wait}))
		assert.Equal(t, 2*time.Second, waited)
		assert.Equal(t, waited, time.Since(began))
	})
}

// TestRejectsDefects plants one defect at a time and names the rules that must see it. Other rules may see it too.
func TestRejectsDefects(t *testing.T) {
	tried := map[string]bool{}
	for d, names := range map[defect][]string{
		"Commit forgets":                      {"commit", "one-winner"},
		"Commit twice":                        {"commit"},
		"silent about lost claims":            {"commit", "lease", "late", "tokens"},
		"Release does nothing":                {"release"},
		"Release frees done keys":             {"commit"},
		"excludes nobody":                     {"in-flight", "one-winner", "one-successor"},
		"leaks the token":                     {"in-flight"},
		"one record for all keys":             {"independent-keys", "odd-keys"},
		"leases never end":                    {"lease", "one-successor"},
		"Commit with any token":               {"independent-keys", "lease", "tokens", "one-successor"},
		"Release with any token":              {"independent-keys", "lease", "tokens", "one-successor"},
		"Commit after the lease":              {"late"},
		"Release after the lease":             {"late"},
		"windows never end":                   {"window"},
		"Commit keeps the lease's end":        {"window"},
		"a refused claim prolongs the lease":  {"refused-claim"},
		"a refused claim prolongs the window": {"refused-claim"},
		"Remaining stands still":              {"remaining"},
		"no Remaining":                        {"remaining"},
		"Remaining when acquired":             {"remaining"},
		"one token for all":                   {"independent-keys", "tokens", "one-winner", "lease"},
		"a token per key":                     {"tokens", "lease"},
		"ignores ctx":                         {"context"},
		"claims before it refuses":            {"context", "durations"},
		"takes any duration":                  {"durations"},
		"takes the empty key":                 {"empty-key"},
		"trims keys":                          {"odd-keys"},
		"folds case":                          {"odd-keys"},
		"cuts keys at NUL":                    {"odd-keys"},
		"repairs UTF-8":                       {"odd-keys"},
		"cuts long keys":                      {"odd-keys"},
		"reads and claims apart":              {"one-winner", "one-successor"},
		"free for an instant in Commit":       {"one-winner"},
	} {
		t.Run(string(d), func(t *testing.T) {
			for _, name := range names {
				tried[name] = true
				synctest.Test(t, func(t *testing.T) {
					r, message := tryRule(t, name, newNaive(d))
					assert.Contains(t, message, "\nrule: "+r.text, "rule %q accepted the defect", name)
				})
			}
		})
	}
	for _, r := range rules() {
		assert.True(t, tried[r.name], "no defect shows that rule %q can fail", r.name)
	}
}

// tryRule checks a store against one rule and returns the rule and what it printed when it failed, or "".
func tryRule(t *testing.T, name string, s dedup.Store) (rule, string) {
	t.Helper()
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		rec := &recorder{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.run(newProbe(t.Context(), rec, r, s, Options{Unit: time.Second}.withDefaults()))
		}()
		<-ended
		return r, rec.message
	}
	require.FailNow(t, "no rule named "+name)
	return rule{}, ""
}

// recorder stands for the testing.T of a sub-test.
type recorder struct{ message string }

func (*recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.message = fmt.Sprint(args...)
	runtime.Goexit()
}

// failing is a store whose calls fail.
type failing struct{}

func (failing) Claim(context.Context, string, time.Duration) (dedup.Claim, error) {
	return dedup.Claim{}, assert.AnError
}
func (failing) Commit(context.Context, string, string, time.Duration) error { return assert.AnError }
func (failing) Release(context.Context, string, string) error               { return assert.AnError }

// TestRejectsFailingStore: a store that only returns errors passes no rule at all.
func TestRejectsFailingStore(t *testing.T) {
	for _, r := range rules() {
		synctest.Test(t, func(t *testing.T) {
			_, message := tryRule(t, r.name, failing{})
			assert.Contains(t, message, assert.AnError.Error(), r.name)
		})
	}
}
