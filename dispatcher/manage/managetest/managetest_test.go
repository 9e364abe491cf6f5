package managetest

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func TestMain(m *testing.M) {
	if Child(openFile) {
		return
	}
	goleak.VerifyTestMain(m)
}

func newNaive(t *testing.T, d defect) *naive {
	t.Helper()
	m := manage.NewMemory()
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return &naive{Documents: m, memory: m, defect: d}
}

// suiteOf is the suite of a naive store, which must be quick to say that something does not happen.
func suiteOf(d defect, timeout time.Duration) Suite {
	return Suite{
		New:   func(t *testing.T) manage.Documents { return newNaive(t, d) },
		Close: func(d manage.Documents) error { return d.(*naive).Close() },
		Network: func(t *testing.T) Network {
			n := newNaive(t, d)
			near := &cutOff{naive: n, over: t.Context()}
			return Network{Documents: near, Other: n, Cut: near.cut, Heal: near.heal}
		},
		Process: &Process{
			Store: func(t *testing.T) string { return string(d) + "\n" + filepath.Join(t.TempDir(), "documents") },
			Open: func(t *testing.T, store string) manage.Documents {
				f, closeFile, err := openFile(store)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, closeFile()) })
				return f
			},
			Shared: !strings.HasPrefix(string(d), "owned"),
			Kills:  6,
		},
		MaxSize: 1 << 20,
		Timeout: timeout,
	}.withDefaults()
}

func TestAcceptsACorrectStore(t *testing.T) {
	t.Parallel()
	Run(t, suiteOf("", 0))
}

func TestAcceptsAStoreOfOneProcess(t *testing.T) {
	t.Parallel()
	_, message := tryRule(t, "processes", "owned by one process", DefaultTimeout)
	assert.Empty(t, message)
}

// TestRejectsDefects plants one defect at a time and names the rules that must see it. Other rules may see it too.
func TestRejectsDefects(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for d, names := range map[defect][]string{
		"an unknown tenant is empty":           {"unknown"},
		"deleting nothing succeeds":            {"unknown"},
		"a deleted document is empty":          {"unknown"},
		"create overwrites":                    {"create"},
		"compares, then swaps":                 {"create", "race"},
		"conflicts say revision 0":             {"create", "stale"},
		"a conflict is some error":             {"create", "stale"},
		"ignores the expected revision":        {"stale", "create", "race"},
		"takes later revisions":                {"stale"},
		"Delete ignores the expected revision": {"stale"},
		"writes before it compares":            {"stale"},
		"revisions begin anew":                 {"revisions"},
		"the same content is no change":        {"revisions"},
		"revision of the removal is 0":         {"revisions"},
		"Get is a moment late":                 {"own-writes"},
		"List is a moment late":                {"own-writes"},
		"cuts content at NUL":                  {"bytes"},
		"content is text":                      {"bytes"},
		"keeps the caller's slice":             {"bytes"},
		"hands out its own slice":              {"bytes"},
		"tenants in small letters":             {"tenants", "list"},
		"tenants without blanks around":        {"tenants"},
		"cuts long tenants":                    {"tenants", "list"},
		"tenants are text":                     {"tenants"},
		"dots and slashes meet":                {"tenants"},
		"takes any length":                     {"tenants"},
		"List begins at after":                 {"list"},
		"List is not sorted":                   {"list"},
		"List forgets the last":                {"list", "tenants"},
		"List by offset":                       {"list"},
		"List gives what is above the limit":   {"list"},
		"Watch drops what is not read at once": {"watch", "watch-slow"},
		"Watch tells older ones after newer":   {"watch"},
		"Watch waits for the next change":      {"watch"},
		"Watch does not end":                   {"watch"},
		"Watch is silent on deletions":         {"watch-delete"},
		"Watch says 0 of deletions":            {"watch-delete"},
		"writers wait for readers of a Watch":  {"watch-slow"},
		"a cut is passed over":                 {"watch-cut"},
		"a cut ends the Watch in silence":      {"watch-cut"},
		"a cut closes the Watch":               {"watch-cut"},
		"ignores ctx":                          {"context"},
		"says unchanged when it is unknown":    {"context"},
		"writes though ctx is done":            {"context"},
		"waits for the network":                {"context"},
		"says nothing of unchanged":            {"context"},
		"file written in place":                {"kill"},
		"file forgets what it acknowledged":    {"kill"},
		"file without a lock":                  {"processes"},
		"owned by nobody":                      {"processes"},
		"file watched by its own process only": {"processes"},
		"takes any size":                       {"size"},
		"cuts at the size":                     {"size"},
		"takes less than it says":              {"size"},
		"shows content in errors":              {"errors"},
		"wraps an error that shows content":    {"errors"},
		"leaves a goroutine":                   {"close"},
		"answers after Close":                  {"close"},
		"Close leaves the channels":            {"close"},
	} {
		for _, name := range names {
			tried[name] = true
		}
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			for _, name := range names {
				timeout := time.Second
				if name == "kill" || name == "processes" {
					timeout = 5 * time.Second
				}
				r, message := tryRule(t, name, d, timeout)
				assert.Contains(t, message, "\nrule: "+r.text, "rule %q accepted the defect", name)
			}
		})
	}
	for _, r := range rules() {
		assert.True(t, tried[r.name], "no defect shows that rule %q can fail", r.name)
	}
}

// tryRule checks a store with a defect against one rule and returns the rule and what it printed when it failed, or "".
func tryRule(t *testing.T, name string, d defect, timeout time.Duration) (rule, string) {
	t.Helper()
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		rec := &recorder{}
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(ended)
			p := newProbe(t, rec, r, suiteOf(d, timeout))
			p.ctx = ctx
			assert.Empty(t, r.run(p))
		}()
		<-ended
		cancel()
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

// TestLeavesOutWhatDoesNotApply: a store that is nothing but a New is checked as far as that goes.
func TestLeavesOutWhatDoesNotApply(t *testing.T) {
	t.Parallel()
	for _, r := range rules() {
		reason := ""
		if r.needs != nil {
			reason = r.needs(Suite{})
		}
		needs := r.name == "watch-cut" || r.name == "kill" || r.name == "processes" || r.name == "close"
		assert.Equal(t, needs, reason != "", r.name)
	}
}
