//go:build unix

package queuetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func TestMain(m *testing.M) {
	if Child(openChild) {
		return
	}
	goleak.VerifyTestMain(m)
}

// A store's name is "shared" or "owned", the defect and the path, in lines.
func openChild(store string) (queue.Queue, func() error, error) {
	s := parseStore(store)
	return openJournal(s.path, s.shared, s.defect)
}

func inMemory(d defect) Suite {
	return Suite{
		New:   func(*testing.T) queue.Queue { return newNaive(d) },
		Slack: time.Nanosecond, Timeout: time.Minute, Crowd: 200, Bubble: synctest.Test,
	}
}

func durable(d defect) Suite {
	open := func(t *testing.T, name string) queue.Queue {
		s := parseStore(name)
		n, closeQueue, err := openJournal(s.path, s.shared, s.defect)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, closeQueue()) })
		return n
	}
	return Suite{
		New: func(t *testing.T) queue.Queue { return open(t, storeName(t, false, d)) },
		Reopen: func(t *testing.T, q queue.Queue) queue.Queue {
			before := q.(*naive)
			before.disown()
			return open(t, formatStore(storeRef{path: before.journal.file.Name(), defect: d}))
		},
		Process: &Process{
			Store:  func(t *testing.T) string { return storeName(t, true, d) },
			Open:   open,
			Shared: true,
		},
		Unit: 30 * time.Millisecond, Slack: time.Second, Timeout: 10 * time.Second, Crowd: 200,
	}
}

// owned is durable with stores that belong to one process.
func owned(d defect) Suite {
	s := durable(d)
	s.Process.Shared = false
	s.Process.Store = func(t *testing.T) string { return storeName(t, false, d) }
	return s
}

type storeRef struct {
	shared bool
	defect defect
	path   string
}

func storeName(t *testing.T, shared bool, d defect) string {
	return formatStore(storeRef{shared, d, filepath.Join(t.TempDir(), "journal")})
}

func formatStore(s storeRef) string {
	return fmt.Sprintf("%v\n%q\n%s", s.shared, string(s.defect), s.path)
}

func parseStore(name string) (s storeRef) {
	_, _ = fmt.Sscanf(name, "%v\n%q\n%s", &s.shared, (*string)(&s.defect), &s.path)
	return s
}

func TestAcceptsACorrectQueue(t *testing.T) {
	t.Run("fake clock", func(t *testing.T) { Run(t, inMemory("")) })
	t.Run("durable", func(t *testing.T) { Run(t, durable("")) })
	t.Run("owned", func(t *testing.T) {
		s := owned("").withDefaults()
		for _, name := range []string{"Q1/kill", "Q7/kill", "Q12/owner", "Q12/shared"} {
			_, message := tryRule(t, name, s)
			if name == "Q12/shared" {
				assert.Equal(t, "does not apply: the queue belongs to one process", message)
				continue
			}
			assert.Empty(t, message, name)
		}
	})
	t.Run("only a Queue", func(t *testing.T) {
		s := inMemory("")
		s.New = func(*testing.T) queue.Queue { return least{newNaive("")} }
		Run(t, s)
	})
}

// least is a queue that supports nothing but what every queue has to.
type least struct{ *naive }

func (l least) Properties() queue.Properties {
	d := l.naive.Properties()
	d.KeyedOrder, d.Urgency, d.Bounded, d.DeadBounded, d.Scheduling, d.Inspection = false, false, false, false, false, false
	return d
}

func (least) Bound(string, queue.Bound) {}
func (least) Schedule(context.Context, string, queue.Job) error {
	return errors.ErrUnsupported
}
func (least) Cancel(context.Context, string, string) (bool, error) {
	return false, errors.ErrUnsupported
}
func (least) Lanes(context.Context) ([]string, error) { return nil, errors.ErrUnsupported }
func (least) Count(context.Context, string) (queue.Counts, error) {
	return queue.Counts{}, errors.ErrUnsupported
}
func (least) Purge(context.Context, string) (int, error) { return 0, errors.ErrUnsupported }
func (least) DeadLetters(context.Context, queue.Selection) ([]queue.DeadLetter, error) {
	return nil, errors.ErrUnsupported
}
func (least) Requeue(context.Context, queue.Selection, int64) (int, error) {
	return 0, errors.ErrUnsupported
}
func (least) Discard(context.Context, queue.Selection) (int, error) {
	return 0, errors.ErrUnsupported
}

// inMemoryDefects names for each defect the rules that must see it. Other rules may see it too.
func inMemoryDefects() map[defect][]string {
	return map[defect][]string{
		"promises to be durable":               {"hooks"},
		"inspects although it says it cannot":  {"unsupported"},
		"opens twice":                          {"open"},
		"drops jobs of closed lanes":           {"Q1/waits"},
		"ignores ctx":                          {"Q1/context"},
		"forgets ids":                          {"Q2/known", "Q2/race", "bound/reject"},
		"looks and stores apart":               {"Q2/race"},
		"takes other data":                     {"Q2/conflict"},
		"stores what is in conflict":           {"Q2/conflict"},
		"blind within a call":                  {"Q2/conflict"},
		"loses nanoseconds":                    {"Q3/identical"},
		"loses headers":                        {"Q3/identical", "Q6/retry"},
		"loses attempts made before":           {"Q3/identical"},
		"loses the generation":                 {"Q3/identical", "Q2/known"},
		"writes JSON anew":                     {"Q3/identical"},
		"starts early":                         {"Q4/not-before", "Q4/delay", "Q11/schedule"},
		"starts late":                          {"Q4/not-before", "Q4/delay", "Q11/schedule", "Q6/panic"},
		"never wakes up":                       {"Q4/not-before", "Q4/delay"},
		"ignores delays":                       {"Q4/delay", "Q7/retry"},
		"one too many":                         {"Q5/limit", "Q5/live"},
		"pauses not":                           {"Q5/limit", "drain"},
		"the first limit stays":                {"Q5/limit"},
		"one pool for all":                     {"Q5/isolation", "Q13/flood"},
		"one line for all lanes":               {"Q13/flood"},
		"asks nobody":                          {"admit"},
		"asks once":                            {"admit"},
		"Limit does not ask":                   {"admit"},
		"an old hold stays":                    {"admit/reopen"},
		"keeps what is done":                   {"Q6/done"},
		"counts nothing":                       {"Q6/retry", "Q6/dead", "Q6/panic"},
		"the last try is the first":            {"Q6/retry"},
		"counts everything":                    {"Q6/postpone", "Q8/cancel"},
		"dead without a reason":                {"Q10/letters"},
		"loses what crashes":                   {"Q6/panic"},
		"drops what panics":                    {"Q6/panic"},
		"the last comes first":                 {"Q7/lane", "Q7/keyed", "Q7/strict", "Q7/enqueuers", "Q10/requeue"},
		"ignores keys":                         {"Q7/keyed", "Q7/retry", "Q7/strict", "Q7/enqueuers", "Q7/restart"},
		"one key for all":                      {"Q7/keyed", "Q7/retry"},
		"followers overtake":                   {"Q7/retry", "Q7/strict", "Q7/enqueuers"},
		"reopens in another order":             {"Q7/restart"},
		"Stop does not wait":                   {"Q8/stop"},
		"Stop cancels at once":                 {"Q8/stop"},
		"starts after Stop":                    {"Q8/stop"},
		"Stop never cancels":                   {"Q8/cancel", "Q8/stuck"},
		"silent about handlers that still run": {"Q8/stuck"},
		"a lease ends":                         {"Q9/lease"},
		"drains in words only":                 {"drain", "drain/removed"},
		"drains what is later":                 {"drain"},
		"drains beyond ctx":                    {"drain"},
		"drain looks once":                     {"drain/removed"},
		"drains until now":                     {"drain/until"},
		"nothing is urgent":                    {"urgent"},
		"loses urgency":                        {"urgent"},
		"keys are no matter to the urgent":     {"urgent"},
		"counts later as due":                  {"Q10/counts"},
		"lists every lane":                     {"Q10/counts"},
		"purges what is due only":              {"Q10/purge"},
		"purges in words only":                 {"Q10/purge", "Q10/backlog"},
		"lists the latest first":               {"Q10/letters"},
		"ignores Since":                        {"Q10/letters", "Q10/since"},
		"ignores After":                        {"Q10/letters", "Q10/requeue"},
		"ignores Limit":                        {"Q10/letters", "Q10/discard"},
		"ignores Lane":                         {"Q10/letters", "Q10/requeue"},
		"ignores LanePrefix":                   {"Q10/letters", "dead/age"},
		"no ids are all":                       {"Q10/letters"},
		"requeues with its past":               {"Q10/requeue"},
		"requeues as the same":                 {"Q10/requeue"},
		"requeues what has room":               {"Q10/requeue"},
		"cancels what runs":                    {"Q11/schedule"},
		"postponed is started":                 {"Q11/postponed"},
		"cancels in words only":                {"Q11/schedule"},
		"does not replace":                     {"Q11/replace"},
		"one set of keys":                      {"Q11/replace"},
		"has no bound":                         {"bound/reject", "bound/drop"},
		"all or nothing":                       {"bound/reject"},
		"drops the youngest":                   {"bound/drop", "bound/behind"},
		"counts its window only":               {"bound/behind"},
		"drops from its window only":           {"bound/behind"},
		"keeps nothing":                        {"bound/drop"},
		"drops without a dead letter":          {"bound/drop"},
		"notifies nobody":                      {"bound/drop"},
		"replacing needs room":                 {"bound/replace"},
		"knows no groups":                      {"bound/group", "bound/group-drop"},
		"one group for all":                    {"bound/group", "Q13/flood"},
		"drops of the whole group":             {"bound/group-drop"},
		"keeps all that is dead":               {"dead/limit"},
		"one limit for all that is dead":       {"dead/limit"},
		"dead letters do not age":              {"dead/age"},
	}
}

func durableDefects() map[defect][]string {
	return map[defect][]string{
		"forgets at restart":            {"Q1/restart", "Q11/restart"},
		"forgets attempts at restart":   {"Q1/restart"},
		"forgets what is done":          {"Q1/restart", "Q1/kill"},
		"acknowledges before it stores": {"Q1/kill"},
		"forgets facts at restart":      {"Q1/restart"},
		"forgets order at restart":      {"Q7/restart"},
		"forgets the dead at restart":   {"Q10/restart"},
		"raises the dead again":         {"Q10/restart"},
		"counts from the restart on":    {"bound/restart", "dead/restart"},
		"forgets keys at restart":       {"Q11/restart"},
		"forgets what was cancelled":    {"Q11/restart"},
		"followers overtake":            {"Q7/kill"},
		"forgets urgency at restart":    {"urgent/restart"},
		"claims for itself only":        {"Q12/shared"},
		"starts slowly":                 {"Q13/crowd"},
	}
}

func ownedDefects() map[defect][]string {
	return map[defect][]string{"lets two in": {"Q12/owner"}}
}

// TestRejectsDefects plants one defect at a time.
func TestRejectsDefects(t *testing.T) {
	tried := map[string]bool{}
	for _, kind := range []struct {
		defects map[defect][]string
		suite   func(defect) Suite
	}{{inMemoryDefects(), inMemory}, {durableDefects(), durable}, {ownedDefects(), owned}} {
		for d, names := range kind.defects {
			t.Run(string(d), func(t *testing.T) {
				s := kind.suite(d).withDefaults()
				if d == "starts slowly" {
					s.Slack = 200 * time.Millisecond
				}
				for _, name := range names {
					tried[name] = true
					s.Bubble(t, func(t *testing.T) {
						r, message := tryRule(t, name, s)
						assert.Contains(t, message, "\nrule: "+r.text, "rule %q accepted the defect", name)
					})
				}
			})
		}
	}
	for _, r := range rules() {
		assert.True(t, tried[r.name], "no defect shows that rule %q can fail", r.name)
	}
}

// tryRule checks a queue against one rule and returns the rule and what it printed when it failed, or "".
func tryRule(t *testing.T, name string, s Suite) (rule, string) {
	t.Helper()
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		rec := &recorder{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if reason := r.run(newProbe(t, rec, r, s)); reason != "" {
				rec.message = "does not apply: " + reason
			}
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
