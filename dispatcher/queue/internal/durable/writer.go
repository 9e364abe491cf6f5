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
	queue *Queue
	wake  chan struct{} // has room for one
	ended chan struct{}

	commits atomic.Int64
	large   []*change // calls that are stored in several transactions and have begun; the goroutine's own

	mu      sync.Mutex
	waiting []*change
	loads   []string // lanes that are to be read
	closed  bool
}

// change is what a call wants: one of append, settle and apply.
type change struct {
	op     string
	append *Append
	settle *Settlement
	apply  func(*transaction) error
	work   int

	ctx       context.Context // of a call that may take several transactions
	whole     []*Event        // of such a call
	byKey     map[[16]byte]uint64
	rest      []*Event    // what they store besides append
	scheduled *startedJob // becomes one that has started
	refused   error       // why this change alone was not made
	done      chan error
}

// refusal is the error of an apply that has changed nothing: it fails its own call and not the transaction.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// workOf is the work of so many rows with so many bytes: a page's worth of bytes is as much as a row.
func workOf(rows, bytes int) int { return rows + bytes/4096 }

// nextPart cuts off what one transaction takes on, an event with all its jobs at least.
func (c *change) nextPart(most int) {
	a := &Append{Whole: c.append.Whole}
	if len(c.append.Events) > 0 {
		a.Whole = nil // the first part has looked
	}
	n := 0
	for ; n < len(c.rest); n++ {
		rows, bytes := a.Rows+len(c.rest[n].Jobs), a.Bytes+len(c.rest[n].Body)
		if n > 0 && workOf(rows, bytes) > most {
			break
		}
		a.Rows, a.Bytes = rows, bytes
	}
	a.Events, c.rest = c.rest[:n], c.rest[n:]
	c.append, c.work = a, workOf(a.Rows, a.Bytes)
}

func newWriter(q *Queue) *writer {
	return &writer{queue: q, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// submit returns once a change is durable, with what Store.Error makes of its error, or when ctx is done.
func (w *writer) submit(ctx context.Context, c *change) error {
	c.ctx, c.done = ctx, make(chan error, 1)
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

func (w *writer) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func (w *writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
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
			w.followClock()
			batch, loads, closed := w.next()
			if len(batch) > 0 {
				w.commit(batch)
				w.queue.Store.Housekeep(w.queue.Now())
			}
			for _, name := range loads {
				w.load(w.queue.lane(name))
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

// next returns the changes of the next transaction, one at least if any waits, and the lanes to read then.
func (w *writer) next() (batch []*change, loads []string, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, work := 0, 0
	for n < min(len(w.waiting), mostChanges) && (n == 0 || work+w.waiting[n].work <= w.queue.Work) {
		work += w.waiting[n].work
		n++
	}
	batch, w.waiting = w.waiting[:n:n], w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	n = min(len(w.loads), mostLoads)
	loads, w.loads = w.loads[:n:n], w.loads[n:]
	if len(w.loads) == 0 || w.closed {
		w.loads = nil
	}
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
		w.answer(c, err)
	}
}

// answer answers a call, or has the next part of a large one wait.
func (w *writer) answer(c *change, err error) {
	if err == nil {
		err = c.refused
	}
	if err == nil {
		err = c.ctx.Err()
	}
	if err == nil && len(c.rest) > 0 {
		c.nextPart(w.queue.Chunk)
		w.mu.Lock()
		w.waiting = append(w.waiting, c)
		w.mu.Unlock()
		return
	}
	if i := slices.Index(w.large, c); i >= 0 {
		w.large = slices.Delete(w.large, i, i+1)
	}
	c.done <- err
}

// try stores a batch in one transaction, or changes nothing; failed is the change that failed, as far as that is known.
func (w *writer) try(batch []*change) (failed *change, err error) {
	wall := w.queue.Now()
	tx, err := w.queue.Store.Begin(wall)
	if err != nil {
		return nil, err
	}
	t := &transaction{Tx: tx, queue: w.queue, gone: map[place]bool{}}
	if err = t.apply(w, batch); err == nil {
		err = t.Commit()
	}
	if err != nil {
		t.Rollback()
		t.putBack()
		return t.failed, err
	}
	w.commits.Add(1)
	t.finish()
	return nil, nil
}

// conflict finds an event whose id a large call that has begun stores with other data.
func (w *writer) conflict(c *change) error {
	for _, large := range w.large {
		if large == c {
			continue
		}
		digests := large.digests()
		for _, e := range c.append.Whole {
			if digest, ok := digests[e.Key]; ok && digest != e.Digest {
				return &queue.ConflictError{EventID: e.Jobs[0].Event.ID()}
			}
		}
	}
	return nil
}

// digests are those of the events of a large call, by key.
func (c *change) digests() map[[16]byte]uint64 {
	if c.byKey == nil {
		c.byKey = make(map[[16]byte]uint64, len(c.whole))
		for _, e := range c.whole {
			c.byKey[e.Key] = e.Digest
		}
	}
	return c.byKey
}

// entry makes the entry of a job that comes into memory.
func (q *Queue) entry(j *Job) *lanes.Entry {
	j.Ref.Steps = q.steps.Load()
	j.Enqueued, j.FirstTried = j.Enqueued.Round(0), j.FirstTried.Round(0) // as the store keeps them
	return q.scheduler.NewEntry(&j.Job, j.Ref)
}

// load brings the next jobs of a lane into its window.
func (w *writer) load(l *lane) {
	inner := l.inner.Load()
	room := inner.Room()
	loaded, err := w.queue.Store.Load(l.name, LoadQuery{
		Now: w.queue.Now(), After: l.cursor, Room: room, Urgent: w.queue.Window(),
		Held: func(num int64) bool { return l.held[num] != nil },
	})
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
	inner.Loaded(loaded.More, loaded.Next)
}

// followClock moves what counts from a moment of this run by the step that the wall clock made: ages stay what they
// are, and pauses after an attempt do not become longer. A time that was asked for as such stays. It comes before each
// transaction, so that nothing is stored in between.
func (w *writer) followClock() {
	q := w.queue
	wall, steps := q.scheduler.Now()
	by := steps - q.steps.Load()
	if by == 0 {
		return
	}
	held := func(lane string, num int64) bool { return q.lane(lane).held[num] != nil }
	_, err := w.try([]*change{{apply: func(t *transaction) error { return t.Follow(by, wall, q.LastNum, held) }}})
	if err != nil {
		return // and it is tried again
	}
	q.steps.Store(steps)
	q.Log.Warn("tocsin: the clock was set; the queue follows", "by", time.Duration(by))
	for _, l := range q.all() {
		if inner := l.inner.Load(); inner != nil {
			inner.Reload()
		}
	}
}
