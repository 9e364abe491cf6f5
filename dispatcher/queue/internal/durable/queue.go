package durable

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Config is what a Queue needs to know of its store.
type Config struct {
	Store      Store
	Properties queue.Properties
	Log        *slog.Logger
	Clock      func() lanes.Reading
	ErrClosed  error         // of calls after Close
	Lanes      []StoredLane  // those that have something
	LastNum    int64         // number of the latest job
	DeadAge    time.Duration // of dead letters in lanes whose bound does not say; 0 = forever
	// Chunk is how many rows a transaction takes on of a call that has many, and Work how much one takes on of many
	// calls.
	Chunk, Work int
}

// StoredLane is what a store has of a lane when it is opened.
type StoredLane struct {
	Name       string
	Num        int64
	Jobs, Dead int
}

// How much is read ahead. A lane has a window of between LeastWindow and MostWindow jobs, all lanes together of about
// windows.
const (
	LeastWindow = 16
	MostWindow  = 512
	windows     = 1 << 16
)

// Queue is a durable queue. All methods are safe for concurrent use.
type Queue struct {
	Config
	shared    Shared // the store if it is one; nil = it belongs to this process
	scheduler *lanes.Scheduler
	writer    *writer

	groups lanes.Groups
	peers  peers

	most  atomic.Int64 // MostWindow, or what a test wants
	steps atomic.Int64 // of the wall clock that the store knows of
}

var _ queue.Queue = (*Queue)(nil)

// New returns a queue that serves a store.
func New(c Config) *Queue {
	q := &Queue{Config: c}
	q.most.Store(MostWindow)
	q.shared, _ = c.Store.(Shared)
	q.writer = &writer{queue: q, lastNum: c.LastNum, wake: make(chan struct{}, 1), ended: make(chan struct{}), leaving: map[*Lane]time.Time{}}
	q.scheduler = lanes.New(c.Clock, lanes.Hooks{
		New: q.newLane, Closed: q.writer.askUnload,
		Bound:  func(l *lanes.Lane, b queue.Bound) { q.setBound(laneOf(l), b) },
		Settle: q.settle, Start: q.start, Refill: q.writer.askLoad, Stepped: q.writer.signal, Window: q.Window,
	})
	for _, stored := range c.Lanes {
		l := q.lane(stored.Name)
		l.Num, l.counts = stored.Num, counts{total: stored.Jobs, dead: stored.Dead}
	}
	go q.writer.run()
	q.writer.signal()
	return q
}

// Window is how many jobs may wait in memory for each lane.
func (q *Queue) Window() int {
	return min(max(windows/max(q.scheduler.OpenLanes(), 1), LeastWindow), int(q.most.Load()))
}

// SetWindow sets the greatest window, which only tests need.
func (q *Queue) SetWindow(n int) { q.most.Store(int64(n)) }

// Stats say what a queue does at the moment.
type Stats struct {
	Commits  int64 // transactions that were stored
	Waiting  int   // calls that wait for one
	Lanes    int   // that are in memory, whether or not anything is in them
	Followed bool  // the store knows of all steps of the wall clock
}

// Stats says what the queue does at the moment.
func (q *Queue) Stats() Stats {
	_, steps := q.scheduler.Now()
	s := Stats{Commits: q.writer.commits.Load(), Lanes: len(q.scheduler.All()), Followed: steps == q.steps.Load()}
	q.writer.mu.Lock()
	defer q.writer.mu.Unlock()
	s.Waiting = len(q.writer.small) + len(q.writer.large)
	return s
}

// InMemory is what is in memory of a lane.
func (q *Queue) InMemory(name string) lanes.State {
	if l := q.find(name); l != nil {
		return l.inner.State()
	}
	return lanes.State{}
}

// Now is what the wall clock shows, in Unix nanoseconds; not one that it was just set to, until the store has followed
// the step.
func (q *Queue) Now() int64 {
	wall, steps := q.scheduler.Now()
	return wall - (steps - q.steps.Load())
}

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties { return q.Config.Properties }

// Bound implements queue.Queue.
func (q *Queue) Bound(lane string, b queue.Bound) { q.scheduler.Bound(lane, b) }

// find returns the lane of that name, nil if there is none: who only looks creates nothing.
func (q *Queue) find(name string) *Lane {
	if inner := q.scheduler.Find(name); inner != nil {
		return laneOf(inner)
	}
	return nil
}

// lane returns the lane of that name, made on first use. What the writer does with it is sure to be seen by all.
func (q *Queue) lane(name string) *Lane { return laneOf(q.scheduler.Lane(name)) }

// Open implements queue.Queue.
func (q *Queue) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	if err := q.writer.over(context.Background()); err != nil {
		return nil, err
	}
	if q.shared != nil {
		return q.openShared(name, o, h)
	}
	return q.scheduler.Open(name, o, h)
}

// Enqueue implements queue.Queue. When an event is in conflict, nothing at all is stored. A call that is too large for
// one transaction is stored in several, so that other calls are not held up: an error, or a crash, may then leave its
// first events stored, each with all its jobs. When ctx ends during the call, the jobs may be stored all the same.
//
// What the handler of a scheduled job enqueues with its ctx makes that job one that has started, in the same
// transaction: even if the process ends then, Cancel does not claim to have stopped it.
func (q *Queue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if err := ctx.Err(); err != nil || len(jobs) == 0 {
		return err
	}
	all := events(jobs)
	part, rest := cut(all, q.Chunk)
	part.Check = all
	c := &change{op: "store events", append: part, started: q.startedIn(ctx)}
	if len(rest) > 0 {
		c.large = newLargeCall(all)
		defer q.writer.end(c.large)
	}
	var full queue.BacklogError
	for {
		err := q.writer.submit(ctx, c)
		if refused, ok := errors.AsType[*queue.BacklogError](err); ok {
			full.Lanes, full.Groups, err = append(full.Lanes, refused.Lanes...), append(full.Groups, refused.Groups...), nil
		}
		switch {
		case err != nil:
			return err
		case len(rest) == 0:
			return lanes.NoRoom(full)
		}
		part, rest = cut(rest, q.Chunk)
		part.refused = full.Lanes
		c = &change{op: c.op, append: part, started: c.started}
	}
}

// startedKey is the key under which the ctx of a handler has the scheduled job that it runs.
type startedKey struct{}

type startedJob struct {
	queue *Queue
	lane  *Lane
	ref   *lanes.Ref
}

func (q *Queue) startedIn(ctx context.Context) *startedJob {
	if s, ok := ctx.Value(startedKey{}).(*startedJob); ok && s.queue == q {
		return s
	}
	return nil
}

// start is the scheduler's hook. The times of a job that counts from this run move with the wall clock, also by a step
// that the store has not followed yet.
func (q *Queue) start(ctx context.Context, l *lanes.Lane, e *lanes.Entry, j queue.Job) (context.Context, queue.Job) {
	laneOf(l).add(counts{running: 1}, 0)
	ref := e.Ref()
	step := q.stepSince(ref)
	j.Enqueued, j.FirstTried = moved(j.Enqueued, step), moved(j.FirstTried, step)
	if ref.ScheduleKey == "" {
		return ctx, j
	}
	return context.WithValue(ctx, startedKey{}, &startedJob{q, laneOf(l), ref}), j
}

// stepSince is how far the wall clock was set since a job of this run was read.
func (q *Queue) stepSince(ref *lanes.Ref) time.Duration {
	if ref.Num <= q.LastNum {
		return 0
	}
	_, steps := q.scheduler.Now()
	return time.Duration(steps - ref.Steps)
}

// moved is t, which is a time of the wall clock only, moved by a step.
func moved(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Round(0).Add(by)
}

// Pauses between attempts to store an outcome while the store fails, of which the last is also that between loads.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// settle is the scheduler's hook: it makes an outcome durable, however often it takes. The job's place stays taken
// meanwhile, so that no more jobs start than could be repeated. It gives up when the lane's ctx ends or the queue is
// closed; an outcome that was not applied does not count.
func (q *Queue) settle(ctx context.Context, inner *lanes.Lane, e *lanes.Entry, j queue.Job, out queue.Disposition) (queue.Disposition, bool) {
	ref, l := e.Ref(), laneOf(inner)
	unsure := ref.Unloads != l.unloads.Load()                      // another process may have settled the job
	if out.Action == queue.Postpone && out.Delay <= 0 && !unsure { // changes nothing
		ref.NotTried()
		l.add(counts{running: -1}, 0)
		return out, false
	}
	s := &Settlement{Lane: l, Job: ref, Disposition: out, Attempt: j.Attempt}
	if s.RunsAgain() && out.Delay <= 0 && (unsure || inner.State().More) {
		// It leaves the window, or jobs that fail at once would keep it from those in the store; and it is read again,
		// if it is still there.
		s.Disposition.Delay = 1
	}
	if out.Action == queue.Dead && !j.Event.IsZero() {
		s.ID = j.ID()
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := q.writer.submit(context.Background(), &change{op: "store an outcome", settle: s})
		if err == nil {
			break
		}
		if errors.Is(err, q.ErrClosed) || !sleep(ctx, pause) {
			l.add(counts{running: -1}, 0)
			return queue.Disposition{Action: queue.Postpone}, false
		}
	}
	if s.Lost {
		return out, true
	}
	out.Began = moved(out.Began, -q.stepSince(ref)) // as the entry's other times
	return out, s.RunsAgain() && s.Due != Now
}

// sleep reports whether ctx did not end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Schedule implements queue.Queue.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	a, _ := cut(events([]queue.Job{j}), q.Chunk)
	a.ScheduleKey = key
	return q.write(ctx, "store a scheduled event", a.work(), func(t *transaction) error {
		l := q.lane(j.Lane)
		if err := t.store(a); err != nil {
			return err
		}
		if len(a.full.Lanes) > 0 && a.Refused == nil {
			replaced, err := t.scheduled(l, key)
			if err != nil {
				return err
			}
			if len(replaced) > 0 { // it has the room of that
				a.unbounded = true
				err = t.store(a)
				a.unbounded = false
			}
			if err != nil {
				return err
			}
		}
		if err := errors.Join(a.Refused, lanes.NoRoom(a.full)); err != nil {
			return &refusal{err}
		}
		_, err := t.cancel(l, key, a.Stored[0].Ref.Num)
		return err
	})
}

// Cancel implements queue.Queue.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if q.find(lane) == nil {
		return false, q.writer.over(ctx)
	}
	var found bool
	err := q.CancelWithin(ctx, lane, key, HeldBack, func(_ Tx, cancel func() (bool, error)) (err error) {
		found, err = cancel()
		return err
	})
	return err == nil && found, err // after an error found may still be written to
}

// CancelWithin has f cancel the jobs of a key with numbers below that, and do in the same transaction what else it
// does. It calls f again after a failure.
func (q *Queue) CancelWithin(ctx context.Context, lane, key string, below int64, f func(t Tx, cancel func() (bool, error)) error) error {
	return q.write(ctx, "cancel a scheduled event", 1, func(t *transaction) error {
		return f(t.Tx, func() (bool, error) { return t.cancel(q.lane(lane), key, below) })
	})
}

// write returns once f's change is durable, or when ctx is done: then it may still get there, and f may still run. A
// failed transaction calls f again. A refusal of f fails this call alone.
func (q *Queue) write(ctx context.Context, op string, work int, f func(*transaction) error) error {
	return q.writer.submit(ctx, &change{op: op, apply: f, work: work})
}

// Change is for what the store's own package stores besides jobs: it returns once f's change is durable, or when ctx is
// done; then it may still get there, and f may still run. A failed transaction calls f again. An error from Refuse
// fails this call alone.
func (q *Queue) Change(ctx context.Context, op string, rows, bytes int, f func(Tx) error) error {
	return q.write(ctx, op, workOf(rows, bytes), func(t *transaction) error { return f(t.Tx) })
}

// Refuse makes an error of a change that has changed nothing one that leaves the transaction alone.
func Refuse(err error) error { return &refusal{err} }

// Close stops the lanes that are open, as queue.Lane.Stop does when its ctx is done, and stores the outcomes that are
// under way. Calls after it are ErrClosed.
func (q *Queue) Close() error {
	past, cancel := context.WithCancel(context.Background())
	cancel()
	all := q.scheduler.All()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		if l.State().Open {
			wg.Go(func() { errs[i] = l.Stop(past) })
		}
	}
	wg.Wait()
	q.writer.close()
	return errors.Join(errs...)
}
