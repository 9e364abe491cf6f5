package historytest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAcceptsACorrectStore(t *testing.T) {
	t.Parallel()
	newStore := func(*testing.T) history.Store { return &naive{} }
	Run(t, newStore, Options{})
	Run(t, newStore, Options{Reopen: func(_ *testing.T, s history.Store) history.Store { return s.(*naive).reopened() }})
}

// TestRejectsDefects plants one defect at a time and names the rules that must see it. Other rules may see it too.
func TestRejectsDefects(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for d, names := range map[defect][]string{
		"oldest first":                         {"order"},
		"keeps the given Seq":                  {"order"},
		"milliseconds":                         {"whole", "fields"},
		"loses Request":                        {"whole"},
		"loses Reason":                         {"whole"},
		"loses Generation":                     {"whole"},
		"cuts text at NUL":                     {"whole"},
		"encodes the event anew":               {"whole"},
		"encodes the event with encoding/json": {"whole"},
		"no nil messages":                      {"whole"},
		"ignores Route":                        {"fields", "random"},
		"routes by prefix":                     {"fields"},
		"ignores EventID":                      {"fields", "random"},
		"ignores Subject":                      {"fields", "random"},
		"ignores Type":                         {"fields", "random"},
		"ignores Status":                       {"fields", "random"},
		"first outcome only":                   {"fields", "random"},
		"Since excludes":                       {"fields", "random"},
		"Until includes":                       {"fields", "random"},
		"Before includes":                      {"fields", "pages", "random"},
		"ignores Seq":                          {"fields"},
		"no tenant is every tenant":            {"tenants", "random"},
		"the event's tenant":                   {"tenants"},
		"no limit":                             {"limit"},
		"Limit 0 is none":                      {"limit"},
		"Prune does nothing":                   {"prune-age", "prune-count", "pages"},
		"stops at the first young one":         {"prune-age"},
		"removes what is just old enough":      {"prune-age"},
		"keeps any number":                     {"prune-count"},
		"keeps the oldest":                     {"prune-count"},
		"miscounts":                            {"prune-age", "prune-count"},
		"routes by name":                       {"tenants", "random"},
		"a route is enough":                    {"tenants", "random"},
		"ignores TenantEntries":                {"prune-tenant", "remove"},
		"ignores TenantBytes":                  {"prune-tenant"},
		"bytes to the limit":                   {"prune-tenant"},
		"counts events once":                   {"prune-tenant"},
		"does not limit the platform's":        {"prune-tenant"},
		"limits routes":                        {"prune-tenant", "remove"},
		"the flood stays":                      {"prune-fair"},
		"takes nothing from those with one":    {"prune-fair"},
		"Remove does nothing":                  {"remove"},
		"Remove by AnyTenant is everybody":     {"remove"},
		"Remove takes the tenant along":        {"remove"},
		"Remove ignores ctx":                   {"context"},
		"Totals ignores ctx":                   {"context"},
		"totals without end":                   {"totals"},
		"totals to the nearest step":           {"totals", "random"},
		"totals of the outcome failed only":    {"totals", "random"},
		"totals of a page":                     {"random"},
		"counts Seq anew":                      {"seq"},
		"keeps the caller's slice":             {"slice"},
		"Append ignores ctx":                   {"context"},
		"Query ignores ctx":                    {"context"},
		"Prune ignores ctx":                    {"context"},
		"mixes concurrent calls":               {"concurrent"},
		"is empty again":                       {"reopen"},
		"begins Seqs anew":                     {"reopen"},
	} {
		t.Run(string(d), func(t *testing.T) {
			for _, name := range names {
				tried[name] = true
				r, message := tryRule(t, name, &naive{defect: d})
				assert.Contains(t, message, "\nrule: "+r.text, "rule %q accepted the defect", name)
			}
		})
	}
	for _, r := range rules() {
		assert.True(t, tried[r.name], "no defect shows that rule %q can fail", r.name)
	}
}

// tryRule checks a store against one rule and returns the rule and what it printed when it failed, or "".
func tryRule(t *testing.T, name string, s history.Store) (rule, string) {
	t.Helper()
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		rec := &recorder{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p := &probe{tb: rec, ctx: t.Context(), rule: r, store: s}
			if n, ok := s.(*naive); ok {
				p.reopen = n.reopened
			}
			r.check(p)
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

func (failing) Append(context.Context, ...history.Entry) error { return assert.AnError }
func (failing) Query(context.Context, history.Query) ([]history.Entry, error) {
	return nil, assert.AnError
}
func (failing) Prune(context.Context, history.Retention) (int, error)   { return 0, assert.AnError }
func (failing) Remove(context.Context, dispatcher.RouteID) (int, error) { return 0, assert.AnError }
func (failing) Totals(context.Context, history.Query, time.Duration) ([]history.Total, error) {
	return nil, assert.AnError
}

// TestRejectsFailingStore: a store that only returns errors passes no rule at all.
func TestRejectsFailingStore(t *testing.T) {
	t.Parallel()
	for _, r := range rules() {
		if r.name == "reopen" {
			continue // without Reopen it has nothing to say
		}
		_, message := tryRule(t, r.name, failing{})
		assert.Contains(t, message, assert.AnError.Error(), r.name)
	}
}
