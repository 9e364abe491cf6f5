package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"sync"
	"testing"
	"testing/synctest"
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
	ends    map[int64]int64    // when a dead letter is to be removed, by Seq
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
	return &fakeStore{jobs: map[string][]*fakeJob{}, known: map[[16]byte]*fakeKnown{}, ends: map[int64]int64{}}
}

// setFault has f asked at the start of each operation; nil = none fails.
func (s *fakeStore) setFault(f func(op string) error) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.fault = f
}

// holdFirst enqueues a job, in wg, whose transaction does not go on before release is called: what is called meanwhile
// waits.
func (s *fakeStore) holdFirst(t *testing.T, q *Queue, wg *sync.WaitGroup) (release func()) {
	t.Helper()
	held := make(chan struct{})
	s.setFault(func(op string) error {
		if op == "begin" {
			<-held
		}
		return nil
	})
	wg.Go(func() { assert.NoError(t, q.Enqueue(t.Context(), job("first"))) })
	synctest.Wait()
	return func() { close(held) }
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
	byName := map[string]StoredLane{}
	s.mu.Lock()
	for name, all := range s.jobs {
		byName[name] = StoredLane{Name: name, Jobs: len(all)}
	}
	for _, d := range s.dead {
		l := byName[d.Lane]
		byName[d.Lane] = StoredLane{Name: d.Lane, Jobs: l.Jobs, Dead: l.Dead + 1}
	}
	last := s.lastNum
	s.mu.Unlock()
	q := New(Config{
		Store: s, Log: slog.New(slog.DiscardHandler), Clock: clock, ErrClosed: errClosed, Lanes: slices.Collect(maps.Values(byName)), LastNum: last,
		Chunk: 100, Work: 200,
		Properties: queue.Properties{
			Precision: 10 * time.Millisecond, IDWindow: "all", KeyedOrder: true, Urgency: true, Scheduling: true, Inspection: true,
			MovedTimes: true, Bounded: true, DeadBounded: true,
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

func (s *fakeStore) Housekeep(now int64) (removed []string, again time.Duration) {
	if s.ask("housekeep") != nil {
		return nil, time.Second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = slices.DeleteFunc(slices.Clone(s.dead), func(d queue.DeadLetter) bool {
		ends := s.ends[d.Seq]
		if ends == 0 || ends > now {
			if left := time.Duration(ends - now); ends != 0 && (again == 0 || left < again) {
				again = left
			}
			return false
		}
		removed = append(removed, d.Lane)
		return true
	})
	return removed, again
}

func (s *fakeStore) Error(op string, err error) error {
	if err == nil || errors.Is(err, errClosed) {
		return err
	}
	return fmt.Errorf("%s: %w", op, err)
}

func (s *fakeStore) Load(lane *Lane, q LoadQuery) (l Loaded, err error) {
	if err := s.ask("load"); err != nil {
		return l, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	byDue := slices.Clone(s.jobs[lane.Name])
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

func (s *fakeStore) Later(ctx context.Context, lane string, now int64) (later int, err error) {
	if err := errors.Join(ctx.Err(), s.ask("count")); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs[lane] {
		if j.Ref.Due > now && j.Ref.Due < HeldBack {
			later++
		}
	}
	return later, nil
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

func (t *fakeTx) Append(calls []*Append, lane func(string) *Lane, room func(*Append, *Lane) (bool, error)) error {
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
			if err := t.appendEvent(a, e, lane, room); err != nil {
				return err
			}
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

func (t *fakeTx) appendEvent(a *Append, e *Event, lane func(string) *Lane, room func(*Append, *Lane) (bool, error)) error {
	k := t.s.known[e.Key]
	if k == nil {
		k = &fakeKnown{digest: e.Digest, lanes: map[string]bool{}}
	}
	var stored []*Job
	for _, j := range e.Jobs {
		if a.ScheduleKey == "" {
			if k.lanes[j.Lane] {
				continue
			}
		}
		if ok, err := room(a, lane(j.Lane)); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if a.ScheduleKey == "" {
			k.lanes[j.Lane], t.s.known[e.Key] = true, k
			t.undo = append(t.undo, func() {
				if delete(k.lanes, j.Lane); len(k.lanes) == 0 {
					delete(t.s.known, e.Key)
				}
			})
		}
		if len(stored) == 0 {
			t.s.lastNum++
		}
		stored = append(stored, t.put(j, a.ScheduleKey))
	}
	a.Stored = append(a.Stored, stored...)
	return nil
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
		_, j := t.find(s.Lane.Name, s.Job.Num)
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
			if s.Age > 0 {
				t.s.ends[d.Seq] = t.now + int64(s.Age)
			}
		}
		released = t.remove(released, s.Lane.Name, s.Job.Num)
	}
	return released, nil
}

func (t *fakeTx) Remove(lane *Lane, refs []*lanes.Ref) (released []*Job, err error) {
	if err := t.s.ask("remove"); err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if _, j := t.find(lane.Name, ref.Num); j == nil {
			return nil, errNoJob
		}
		released = t.remove(released, lane.Name, ref.Num)
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

func (t *fakeTx) Scheduled(lane *Lane, key string) (refs []*lanes.Ref, err error) {
	for _, j := range t.s.jobs[lane.Name] {
		if j.Ref.ScheduleKey == key {
			refs = append(refs, j.copied().Ref)
		}
	}
	return refs, t.s.ask("scheduled")
}

func (t *fakeTx) ClearScheduleKey(lane *Lane, ref *lanes.Ref) error {
	if _, j := t.find(lane.Name, ref.Num); j != nil {
		t.change(j, func() { j.Ref.ScheduleKey = "" })
	}
	return t.s.ask("clear schedule key")
}

func (t *fakeTx) Waiting(lane *Lane, last int64, n int, skip func(int64) bool) (refs []*lanes.Ref, err error) {
	for _, j := range slices.Backward(t.s.jobs[lane.Name]) {
		if j.Ref.Num <= last && len(refs) < n && !skip(j.Ref.Num) {
			refs = append(refs, j.copied().Ref)
		}
	}
	return refs, t.s.ask("waiting")
}

func (t *fakeTx) LastDead() (int64, error) { return t.s.lastSeq, nil }

func (t *fakeTx) Oldest(lane *Lane, after int64, n int) (oldest []*Job, err error) {
	for _, j := range t.s.jobs[lane.Name] {
		if j.Ref.Num > after && len(oldest) < n {
			oldest = append(oldest, j.copied())
		}
	}
	return oldest, t.s.ask("oldest")
}

// removeDead removes up to n dead letters, which it returns.
func (t *fakeTx) removeDead(n int, which func(queue.DeadLetter) bool) (removed []queue.DeadLetter) {
	before := t.s.dead
	t.undo = append(t.undo, func() { t.s.dead = before })
	t.s.dead = nil
	for _, d := range before {
		if len(removed) < n && which(d) {
			removed = append(removed, d)
		} else {
			t.s.dead = append(t.s.dead, d)
		}
	}
	return removed
}

func (t *fakeTx) TakeDead(sel queue.Selection, last int64, n int, generation *int64) (taken TakenDead, err error) {
	for _, d := range t.removeDead(n, func(d queue.DeadLetter) bool { return sel.Match(d) && d.Seq <= last }) {
		taken.Lanes, taken.Seq = append(taken.Lanes, d.Lane), d.Seq
		if generation != nil {
			j := d.Job
			j.Generation, j.Attempt, j.Enqueued = *generation, 0, time.Unix(0, t.now)
			j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
			t.s.lastNum++
			taken.Requeued = append(taken.Requeued, t.put(j, ""))
		}
	}
	return taken, t.s.ask("take dead")
}

func (t *fakeTx) RemoveDead(lane *Lane, n int) (int, error) {
	return len(t.removeDead(n, func(d queue.DeadLetter) bool { return d.Lane == lane.Name })), t.s.ask("remove dead")
}

func (t *fakeTx) Forget(all []*Lane) error {
	for _, l := range all {
		if len(t.s.jobs[l.Name]) > 0 {
			return errNoJob
		}
	}
	return t.s.ask("forget")
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
