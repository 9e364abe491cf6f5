package durable

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// mostChanges is how many calls one transaction takes in, at most, and mostLoads how many lanes are read between two.
const (
	mostChanges = 512
	mostLoads   = 16
)

// writer is the one goroutine that uses the store.
type writer struct {
	queue   *Queue
	lastNum int64         // of the latest job; the goroutine's own
	wake    chan struct{} // has room for one
	again   *time.Timer   // the goroutine's own; nil = it was not needed
	ended   chan struct{}
	commits atomic.Int64

	mu      sync.Mutex
	waiting []*change
	loads   []string     // lanes that are to be read
	large   []*largeCall // that have begun
	closed  bool
}

// change is what a call wants: one of append, settle and apply.
type change struct {
	op      string
	append  *Append
	settle  *Settlement
	apply   func(*transaction) error
	work    int         // of apply
	large   *largeCall  // of which append is the first part
	started *startedJob // whose handler appends
	refused error       // why this change alone was not made
	done    chan error
}

// refusal is the error of an apply that has changed nothing: it fails its own call and not the transaction.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// workOf is the work of so many rows with so many bytes: a page's worth of bytes is as much as a row.
func workOf(rows, bytes int) int { return rows + bytes/4096 }

func (a *Append) work() int { return workOf(a.Rows, a.Bytes) }

// cut cuts off what one transaction takes on of a call, an event with all its jobs at least.
func cut(all []*Event, most int) (first *Append, rest []*Event) {
	first = &Append{}
	n := 0
	for ; n < len(all); n++ {
		rows, bytes := first.Rows+len(all[n].Jobs), first.Bytes+len(all[n].Body)
		if n > 0 && workOf(rows, bytes) > most {
			break
		}
		first.Rows, first.Bytes = rows, bytes
	}
	first.Events = all[:n]
	return first, all[n:]
}

// largeCall is a call that is stored in several transactions. From the first one on, nobody else can store one of its
// ids with other data: a call in conflict is refused before anything of it is stored.
type largeCall struct {
	digests map[[16]byte]uint64 // of its events, by key
	ended   bool
}

func newLargeCall(all []*Event) *largeCall {
	l := &largeCall{digests: make(map[[16]byte]uint64, len(all))}
	for _, e := range all {
		l.digests[e.Key] = e.Digest
	}
	return l
}

func (w *writer) begin(l *largeCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !l.ended {
		w.large = append(w.large, l)
	}
}

func (w *writer) end(l *largeCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.ended = true
	w.large = slices.DeleteFunc(w.large, func(other *largeCall) bool { return other == l })
}

// conflict finds an event whose id a large call stores with other data.
func (w *writer) conflict(a *Append) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.large {
		for _, e := range a.Check {
			if digest, ok := l.digests[e.Key]; ok && digest != e.Digest {
				return &queue.ConflictError{EventID: e.Jobs[0].Event.ID()}
			}
		}
	}
	return nil
}

// submit returns once a change is durable, with what Store.Error makes of its error, or when ctx is done.
func (w *writer) submit(ctx context.Context, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return w.queue.ErrClosed
	}
	w.waiting = append(w.waiting, c)
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-c.done:
		if _, ok := errors.AsType[*queue.ConflictError](err); ok {
			return err
		}
		return w.queue.Store.Error(c.op, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// over is ErrClosed once the queue is closed, or the error of ctx.
func (w *writer) over(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.queue.ErrClosed
	}
	return ctx.Err()
}

// askLoad is the scheduler's hook, and called with the lane locked.
func (w *writer) askLoad(l *lanes.Lane) {
	w.mu.Lock()
	if !w.closed {
		w.loads = append(w.loads, l.Name())
	}
	w.mu.Unlock()
	w.signal()
}

// run works until the writer is closed and nothing waits.
func (w *writer) run() {
	defer close(w.ended)
	for range w.wake {
		for {
			followErr := w.followClock()
			batch, loads, closed := w.next()
			if len(batch) > 0 {
				w.commit(batch)
				w.queue.Store.Housekeep(w.queue.Now())
			}
			for _, name := range loads {
				w.load(w.queue.lane(name), followErr)
			}
			if len(batch) == 0 && len(loads) == 0 {
				if closed {
					return
				}
				break
			}
		}
	}
}

// close makes what waits durable and ends the goroutine.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.loads = nil
	w.mu.Unlock()
	w.signal()
	<-w.ended
}

// next returns the changes of the next transaction, one at least if any waits, and the lanes to read then. A large call
// comes last, so that those after it know of it.
func (w *writer) next() (batch []*change, loads []string, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, work := 0, 0
	for n < min(len(w.waiting), mostChanges) && (n == 0 || w.waiting[n-1].large == nil) {
		c := w.waiting[n]
		switch {
		case c.append != nil:
			work += c.append.work()
		case c.settle != nil:
			work++
		default:
			work += c.work
		}
		if n > 0 && work > w.queue.Work {
			break
		}
		n++
	}
	batch, w.waiting = w.waiting[:n:n], w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	n = min(len(w.loads), mostLoads)
	loads, w.loads = w.loads[:n:n], w.loads[n:]
	return batch, loads, w.closed
}

// commit stores a batch and answers its calls. When that fails and could be the fault of one, that one is tried alone
// if it is known, and the halves otherwise, so that nobody fails for another's sake.
func (w *writer) commit(batch []*change) {
	failed, err := w.try(batch)
	if err != nil {
		again, all := w.queue.Store.Failed(err)
		if again {
			failed, err = w.try(batch)
		}
		if err != nil && !all && len(batch) > 1 {
			half := len(batch) / 2
			if i := slices.Index(batch, failed); i >= 0 {
				batch = append(slices.Delete(batch, i, i+1), failed)
				half = len(batch) - 1
			}
			w.commit(batch[:half])
			w.commit(batch[half:])
			return
		}
	}
	for _, c := range batch {
		if err != nil {
			c.done <- err
		} else {
			c.done <- c.refused
		}
	}
}

// try stores a batch in one transaction, or changes nothing; failed is the change that failed, as far as that is known.
func (w *writer) try(batch []*change) (failed *change, err error) {
	tx, err := w.queue.Store.Begin(w.queue.Now())
	if err != nil {
		return nil, err
	}
	t := &transaction{Tx: tx, queue: w.queue}
	if err = t.apply(batch); err == nil {
		err = t.Commit()
	}
	if err != nil {
		t.Rollback()
		t.putBack()
		return t.failed, err
	}
	w.commits.Add(1)
	t.finish()
	if last := batch[len(batch)-1]; last.large != nil && last.refused == nil {
		w.begin(last.large)
	}
	return nil, nil
}

// entry makes the entry of a job that comes into memory.
func (q *Queue) entry(j *Job) *lanes.Entry {
	j.Ref.Steps = q.steps.Load()
	j.Enqueued, j.FirstTried = j.Enqueued.Round(0), j.FirstTried.Round(0) // as the store keeps them
	return q.scheduler.NewEntry(&j.Job, j.Ref)
}

// load brings the next jobs of a lane into its window, unless err says that the store cannot be used.
func (w *writer) load(l *lane, err error) {
	inner := l.inner.Load()
	var loaded Loaded
	if err == nil {
		room, urgent := inner.Room()
		loaded, err = w.queue.Store.Load(l.name, LoadQuery{
			Now: w.queue.Now(), After: l.cursor, Room: room, Urgent: urgent,
			Held: func(num int64) bool { return l.held[num] != nil },
		})
	}
	was := l.unreadable
	l.unreadable = err != nil
	if err != nil {
		inner.NotLoaded()
		time.AfterFunc(lastPause, inner.Reload)
		if !was {
			w.queue.Log.Error("tocsin: the queue's jobs cannot be read; the route waits", "route", l.name,
				"error", w.queue.Store.Error("read jobs", err))
		}
		return
	}
	if was {
		w.queue.Log.Info("tocsin: the queue's jobs can be read again", "route", l.name)
	}
	for _, j := range loaded.Jobs {
		if l.held[j.Ref.Num] == nil { // an urgent one may come twice
			e := w.queue.entry(j)
			l.held[j.Ref.Num] = e
			inner.Put(e)
		}
	}
	l.cursor = max(l.cursor, loaded.Cursor)
	inner.Loaded(loaded.More, loaded.Urgent, loaded.Next)
}

// tryAgain wakes the goroutine after a pause, once however often it is called.
func (w *writer) tryAgain() {
	if w.again == nil {
		w.again = time.AfterFunc(lastPause, w.signal)
		return
	}
	w.again.Reset(lastPause)
}

// followClock moves what counts from a moment of this run by the step that the wall clock made: ages stay what they
// are, and pauses after an attempt do not become longer. A time that was asked for as such stays. It comes before each
// transaction, so that nothing is stored in between; after an error it is tried again.
func (w *writer) followClock() error {
	q := w.queue
	wall, steps := q.scheduler.Now()
	by := steps - q.steps.Load()
	if by == 0 {
		return nil
	}
	held := func(lane string, num int64) bool { return q.lane(lane).held[num] != nil }
	_, err := w.try([]*change{{apply: func(t *transaction) error { return t.Follow(by, wall, q.LastNum, held) }}})
	if err != nil {
		q.Store.Failed(err)
		w.tryAgain()
		return err
	}
	q.steps.Store(steps)
	q.Log.Warn("tocsin: the clock was set; the queue follows", "by", time.Duration(by))
	for _, l := range q.all() {
		if inner := l.inner.Load(); inner != nil {
			inner.Reload()
		}
	}
	return nil
}
