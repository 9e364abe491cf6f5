package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errClosed  = errors.New("closed")
	errCrashed = errors.New("the store crashed")
)

// fakeStore is a Store in memory. What fault says happens to its operations.
type fakeStore struct {
	faultMu sync.Mutex
	fault   func(op string) error // asked at the start of each operation; may wait; nil = none

	mu      sync.Mutex // held by a transaction
	jobs    map[string][]*fakeJob
	known   map[[16]byte]*fakeKnown
	dead    []queue.DeadLetter // by Seq
	lastNum int64
	lastSeq int64
	commits int
}

type fakeJob struct {
	Job
	pause bool // due counts from an attempt
}

type fakeKnown struct {
	digest uint64
	lanes  map[string]bool
}

func newFakeStore() *fakeStore {
	return &fakeStore{jobs: map[string][]*fakeJob{}, known: map[[16]byte]*fakeKnown{}}
}

// setFault has f asked at the start of each operation; nil = none fails.
func (s *fakeStore) setFault(f func(op string) error) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.fault = f
}

// failing fails the operations of these names.
func failing(ops ...string) func(string) error {
	return func(op string) error {
		if slices.Contains(ops, op) {
			return fmt.Errorf("%s fails", op)
		}
		return nil
	}
}

// crashing lets the store crash in the nth operation of that name: from then on nothing works.
func crashing(op string, n int) func(string) error {
	var mu sync.Mutex
	return func(now string) error {
		mu.Lock()
		defer mu.Unlock()
		if n > 0 && now == op {
			n--
		}
		if n == 0 {
			return errCrashed
		}
		return nil
	}
}

func (s *fakeStore) ask(op string) error {
	s.faultMu.Lock()
	f := s.fault
	s.faultMu.Unlock()
	if f == nil {
		return nil
	}
	return f(op)
}

// queue opens a queue over the store, as a program does when it starts.
func (s *fakeStore) queue(t *testing.T, clock func() lanes.Reading) *Queue {
	t.Helper()
	if clock == nil {
		clock = lanes.System()
	}
	counts := map[string]int{}
	s.mu.Lock()
	for name, all := range s.jobs {
		counts[name] = len(all)
	}
	last := s.lastNum
	s.mu.Unlock()
	q := New(Config{
		Store: s, Log: slog.New(slog.DiscardHandler), Clock: clock, ErrClosed: errClosed, Lanes: counts, LastNum: last,
		Chunk: 100, Work: 200,
		Properties: queue.Properties{
			Precision: 10 * time.Millisecond, IDWindow: "all", KeyedOrder: true, Urgency: true, Scheduling: true, Inspection: true,
			MovedTimes: true,
		},
	})
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// reopen is a restart of the program.
func (s *fakeStore) reopen(t *testing.T, q *Queue) *Queue {
	t.Helper()
	require.NoError(t, q.Close())
	return s.queue(t, nil)
}

func (s *fakeStore) Failed(err error) (again, all bool) { return false, errors.Is(err, errCrashed) }

func (s *fakeStore) Housekeep(int64) { _ = s.ask("housekeep") }

func (s *fakeStore) Error(op string, err error) error {
	if err == nil || errors.Is(err, errClosed) {
		return err
	}
	return fmt.Errorf("%s: %w", op, err)
}

func (s *fakeStore) Load(lane string, q LoadQuery) (l Loaded, err error) {
	if err := s.ask("load"); err != nil {
		return l, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	byDue := slices.Clone(s.jobs[lane])
	sort.SliceStable(byDue, func(i, j int) bool { return byDue[i].Ref.Due < byDue[j].Ref.Due })
	add := func(j *fakeJob, room *int, more *bool) {
		if *room--; *room < 0 {
			*more = true
			return
		}
		l.Jobs = append(l.Jobs, j.copied())
		if j.Ref.Due == Now && !first(j) {
			l.Cursor = j.Ref.Num
		}
	}
	late := (q.Room + 1) / 2
	now := q.Room
	for _, want := range []func(*fakeJob) bool{first, func(j *fakeJob) bool { return !first(j) }} {
		for _, j := range byDue {
			due := j.Ref.Due
			switch {
			case !want(j) || due == HeldBack || q.Held(j.Ref.Num):
			case due > q.Now:
				if (q.Room > 0 || first(j)) && (l.Next == 0 || due < l.Next) {
					l.Next = due
				}
			case first(j):
				add(j, &q.Urgent, &l.Urgent)
			case due > Now:
				now--
				add(j, &late, &l.More)
			case j.Ref.Num > q.After:
				add(j, &now, &l.More)
			}
		}
	}
	l.More = l.More || q.Room == 0
	return l, nil
}

// first reports whether a job goes before the others.
func first(j *fakeJob) bool { return j.Urgent && j.OrderKey == "" }

func (j *fakeJob) copied() *Job {
	ref := *j.Ref
	return &Job{Job: j.Job.Job, Ref: &ref}
}

func (s *fakeStore) Count(ctx context.Context, lane string, now int64) (later, dead int, err error) {
	if err := errors.Join(ctx.Err(), s.ask("count")); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs[lane] {
		if j.Ref.Due > now && j.Ref.Due < HeldBack {
			later++
		}
	}
	for _, d := range s.dead {
		if d.Lane == lane {
			dead++
		}
	}
	return later, dead, nil
}

func (s *fakeStore) DeadLanes(ctx context.Context) (names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.dead {
		names = append(names, d.Lane)
	}
	return names, errors.Join(ctx.Err(), s.ask("dead lanes"))
}

func (s *fakeStore) DeadLetters(ctx context.Context, sel queue.Selection) (found []queue.DeadLetter, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.dead {
		if sel.Match(d) && (sel.Limit == 0 || len(found) < sel.Limit) {
			found = append(found, d)
		}
	}
	return found, errors.Join(ctx.Err(), s.ask("dead letters"))
}

// fakeTx changes the store at once and undoes that when it is rolled back.
type fakeTx struct {
	s    *fakeStore
	now  int64
	undo []func()
}

func (s *fakeStore) Begin(now int64) (Tx, error) {
	if err := s.ask("begin"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	return &fakeTx{s: s, now: now}, nil
}

func (t *fakeTx) Commit() error {
	if err := t.s.ask("commit"); err != nil {
		return err
	}
	t.s.commits++
	t.s.mu.Unlock()
	return nil
}

func (t *fakeTx) Rollback() {
	for _, f := range slices.Backward(t.undo) {
		f()
	}
	t.s.mu.Unlock()
}

func (t *fakeTx) Append(calls []*Append) error {
	if err := t.s.ask("append"); err != nil {
		return err
	}
	for _, a := range calls {
		a.Stored, a.Refused = nil, nil
		if a.ScheduleKey == "" {
			a.Refused = t.s.conflict(a.Check)
		}
		if a.Refused != nil {
			continue
		}
		for _, e := range a.Events {
			t.appendEvent(a, e)
		}
	}
	return nil
}

func (s *fakeStore) conflict(all []*Event) error {
	met := map[[16]byte]uint64{}
	for _, e := range all {
		k, digest := s.known[e.Key], e.Digest
		if other, ok := met[e.Key]; ok && other != digest || k != nil && k.digest != digest {
			return &queue.ConflictError{EventID: e.Jobs[0].Event.ID()}
		}
		met[e.Key] = digest
	}
	return nil
}

func (t *fakeTx) appendEvent(a *Append, e *Event) {
	t.s.lastNum++
	k := t.s.known[e.Key]
	if k == nil {
		k = &fakeKnown{digest: e.Digest, lanes: map[string]bool{}}
	}
	for _, j := range e.Jobs {
		if a.ScheduleKey == "" {
			if k.lanes[j.Lane] {
				continue
			}
			k.lanes[j.Lane], t.s.known[e.Key] = true, k
			t.undo = append(t.undo, func() {
				if delete(k.lanes, j.Lane); len(k.lanes) == 0 {
					delete(t.s.known, e.Key)
				}
			})
		}
		a.Stored = append(a.Stored, t.put(j, a.ScheduleKey))
	}
}

// put stores a new job of the latest number.
func (t *fakeTx) put(j queue.Job, name string) *Job {
	f := &fakeJob{Job: Job{Job: j, Ref: &lanes.Ref{Num: t.s.lastNum, ScheduleKey: name, OrderKey: j.OrderKey, Due: t.startAt(j)}}}
	if j.OrderKey != "" && slices.ContainsFunc(t.s.jobs[j.Lane], func(o *fakeJob) bool { return o.OrderKey == j.OrderKey }) {
		f.Ref.Due = HeldBack
	}
	t.set(j.Lane, append(slices.Clip(t.s.jobs[j.Lane]), f))
	return f.copied()
}

func (t *fakeTx) startAt(j queue.Job) int64 {
	switch {
	case !j.NotBefore.After(time.Unix(0, t.now)):
		return Now
	case j.NotBefore.After(time.Unix(0, Latest)):
		return Latest
	}
	return j.NotBefore.UnixNano()
}

// set replaces the jobs of a lane.
func (t *fakeTx) set(lane string, all []*fakeJob) {
	before := t.s.jobs[lane]
	t.s.jobs[lane] = all
	t.undo = append(t.undo, func() { t.s.jobs[lane] = before })
}

// change changes a job.
func (t *fakeTx) change(j *fakeJob, f func()) {
	before, ref := *j, *j.Ref
	j.Ref = &ref
	t.undo = append(t.undo, func() { *j = before })
	f()
}

func (t *fakeTx) find(lane string, num int64) (int, *fakeJob) {
	i := slices.IndexFunc(t.s.jobs[lane], func(j *fakeJob) bool { return j.Ref.Num == num })
	if i < 0 {
		return i, nil
	}
	return i, t.s.jobs[lane][i]
}

var errNoJob = errors.New("there is no such job")

func (t *fakeTx) Settle(all []*Settlement) (released []*Job, err error) {
	if err := t.s.ask("settle"); err != nil {
		return nil, err
	}
	for _, s := range all {
		_, j := t.find(s.Lane, s.Job.Num)
		if j == nil || j.Ref.Due != s.Job.Due {
			return nil, errNoJob
		}
		out := s.Disposition
		counts := out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero()
		t.change(j, func() {
			if counts {
				if j.Attempt++; j.FirstTried.IsZero() {
					j.FirstTried = out.Began
				}
			}
			if s.RunsAgain() {
				j.pause, j.Ref.Due, j.NotBefore = true, Now, time.Time{}
				if out.Delay > 0 {
					j.Ref.Due = min(t.now+int64(out.Delay), Latest)
					j.NotBefore = time.Unix(0, j.Ref.Due)
				}
				if out.Action == queue.Retry {
					j.Ref.ScheduleKey = ""
				}
				s.Due = j.Ref.Due
			}
		})
		if s.RunsAgain() {
			continue
		}
		if out.Action == queue.Dead {
			before := t.s.dead
			t.undo = append(t.undo, func() { t.s.dead = before })
			t.s.lastSeq++
			d := queue.DeadLetter{Job: j.Job.Job, Seq: t.s.lastSeq, At: time.Unix(0, t.now), Reason: out.Reason}
			t.s.dead = append(slices.Clip(before), d)
		}
		released = t.remove(released, s.Lane, s.Job.Num)
	}
	return released, nil
}

func (t *fakeTx) Remove(lane string, refs []*lanes.Ref) (released []*Job, err error) {
	if err := t.s.ask("remove"); err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if _, j := t.find(lane, ref.Num); j == nil {
			return nil, errNoJob
		}
		released = t.remove(released, lane, ref.Num)
	}
	return released, nil
}

func (t *fakeTx) remove(released []*Job, lane string, num int64) []*Job {
	i, gone := t.find(lane, num)
	t.set(lane, slices.Delete(slices.Clone(t.s.jobs[lane]), i, i+1))
	if gone.OrderKey == "" {
		return released
	}
	for _, j := range t.s.jobs[lane] {
		if j.OrderKey != gone.OrderKey {
			continue
		}
		if j.Ref.Due == HeldBack {
			t.change(j, func() { j.Ref.Due = t.startAt(j.Job.Job) })
			released = append(released, j.copied())
		}
		break
	}
	return released
}

func (t *fakeTx) Scheduled(lane, key string) (refs []*lanes.Ref, err error) {
	for _, j := range t.s.jobs[lane] {
		if j.Ref.ScheduleKey == key {
			refs = append(refs, j.copied().Ref)
		}
	}
	return refs, t.s.ask("scheduled")
}

func (t *fakeTx) ClearScheduleKey(lane string, ref *lanes.Ref) error {
	if _, j := t.find(lane, ref.Num); j != nil {
		t.change(j, func() { j.Ref.ScheduleKey = "" })
	}
	return t.s.ask("clear schedule key")
}

func (t *fakeTx) Waiting(lane string, last int64, n int, skip func(int64) bool) (refs []*lanes.Ref, err error) {
	for _, j := range slices.Backward(t.s.jobs[lane]) {
		if j.Ref.Num <= last && len(refs) < n && !skip(j.Ref.Num) {
			refs = append(refs, j.copied().Ref)
		}
	}
	return refs, t.s.ask("waiting")
}

func (t *fakeTx) LastDead() (int64, error) { return t.s.lastSeq, nil }

func (t *fakeTx) TakeDead(sel queue.Selection, last int64, n int, generation *int64) (taken int, seq int64, requeued []*Job, err error) {
	before := t.s.dead
	t.undo = append(t.undo, func() { t.s.dead = before })
	t.s.dead = nil
	for _, d := range before {
		if !sel.Match(d) || d.Seq > last || taken == n {
			t.s.dead = append(t.s.dead, d)
			continue
		}
		taken++
		seq = d.Seq
		if generation != nil {
			j := d.Job
			j.Generation, j.Attempt, j.Enqueued = *generation, 0, time.Unix(0, t.now)
			j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
			t.s.lastNum++
			requeued = append(requeued, t.put(j, ""))
		}
	}
	return taken, seq, requeued, t.s.ask("take dead")
}

func (t *fakeTx) Follow(by, now, since int64, held func(string, int64) bool) error {
	if err := t.s.ask("follow"); err != nil {
		return err
	}
	step := time.Duration(by)
	for lane, all := range t.s.jobs {
		for _, j := range all {
			t.change(j, func() {
				if by < 0 && j.pause && j.Ref.Due > now && j.Ref.Due < HeldBack && !held(lane, j.Ref.Num) {
					j.Ref.Due += by
					j.NotBefore = time.Unix(0, j.Ref.Due)
				}
				if j.Ref.Num > since {
					j.Enqueued, j.FirstTried = moved(j.Enqueued, step), moved(j.FirstTried, step)
				}
			})
		}
	}
	return nil
}
