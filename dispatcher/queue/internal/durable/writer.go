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

// mostChanges is how many calls one transaction takes in, at most, and mostLoads how many lanes are read between two. A
// call of up to smallWork does not share a transaction with larger ones, nor wait for
// more than one of them. mostIdle is how many lanes that hold nothing are remembered.
const (
	mostChanges = 512
	mostLoads   = 16
	smallWork   = 64
	mostIdle    = 256
)

// writer is the one goroutine that uses the store.
type writer struct {
	queue    *Queue
	lastNum  int64         // of the latest job; the goroutine's own
	wake     chan struct{} // has room for one
	again    *time.Timer   // the goroutine's own, after a failure; nil = it was not needed
	aged     *time.Timer   // the goroutine's own, for housekeeping; nil = it was not needed
	idle     []*Lane       // the goroutine's own: they may hold nothing
	wasSmall bool          // the goroutine's own: the last transaction was of small calls
	ended    chan struct{}
	commits  atomic.Int64

	nextPoll *time.Timer         // the goroutine's own, as leaving; nil = it was not needed
	leaving  map[*Lane]time.Time // lanes that are to be handed over, and how long they wait for their handlers

	mu      sync.Mutex
	small   []*change // that wait
	large   []*change // as well
	loads   []*Lane   // lanes that are to be read
	unloads []*Lane   // and those that were closed
	begun   []*largeCall
	closed  bool

	pollAsked bool
	polled    []chan struct{} // to be closed then
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

// weight is the work of a change.
func (c *change) weight() int {
	switch {
	case c.append != nil:
		return c.append.work()
	case c.settle != nil:
		return 1
	}
	return c.work
}

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
		w.begun = append(w.begun, l)
	}
}

func (w *writer) end(l *largeCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.ended = true
	w.begun = slices.DeleteFunc(w.begun, func(other *largeCall) bool { return other == l })
}

// conflict finds an event whose id a large call stores with other data.
func (w *writer) conflict(a *Append) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.begun {
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
	if c.large == nil && c.weight() <= smallWork {
		w.small = append(w.small, c)
	} else {
		w.large = append(w.large, c)
	}
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-c.done:
		return w.answer(c, err)
	case <-ctx.Done():
		go func() { _ = w.answer(c, <-c.done) }() // what it has dropped is still to be said
		return ctx.Err()
	}
}

// answer is what a call is to return.
func (w *writer) answer(c *change, err error) error {
	if err == nil && c.append != nil {
		c.append.notify()
		return lanes.NoRoom(c.append.full)
	}
	_, conflict := errors.AsType[*queue.ConflictError](err)
	_, full := errors.AsType[*queue.BacklogError](err)
	if conflict || full {
		return err
	}
	return w.queue.Store.Error(c.op, err)
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
		w.loads = append(w.loads, laneOf(l))
	}
	w.mu.Unlock()
	w.signal()
}

// askUnload is the scheduler's hook.
func (w *writer) askUnload(l *lanes.Lane) {
	w.mu.Lock()
	if !w.closed {
		w.unloads = append(w.unloads, laneOf(l))
	}
	w.mu.Unlock()
	w.signal()
}

// round is what the goroutine does before it looks for more.
type round struct {
	batch          []*change // of the next transaction
	loads, unloads []*Lane
	closed         bool
}

// run works until the writer is closed and nothing waits.
func (w *writer) run() {
	defer close(w.ended)
	for range w.wake {
		for {
			followErr := w.followClock()
			r := w.next()
			if len(r.batch) > 0 {
				w.commit(r.batch)
			}
			if len(r.batch) > 0 || len(r.loads) == 0 {
				w.housekeep()
			}
			for _, l := range r.unloads {
				w.unload(l)
			}
			if w.queue.shared != nil {
				w.poll()
			}
			w.loadAll(r.loads, followErr)
			w.forget()
			if len(r.batch) == 0 && len(r.loads) == 0 && len(r.unloads) == 0 {
				if r.closed {
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
	w.loads, w.unloads = nil, nil
	w.mu.Unlock()
	w.signal()
	<-w.ended
	for _, timer := range [...]*time.Timer{w.again, w.aged, w.nextPoll} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// next returns what is to be done, one change at least if any waits. Small and large ones take turns, so that nobody's
// large calls hold the others up. One that is stored in several parts comes last, so that those after it know of it.
func (w *writer) next() round {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := round{unloads: w.unloads, closed: w.closed}
	from, most := &w.small, w.queue.Work
	if len(w.small) == 0 || w.wasSmall && len(w.large) > 0 {
		from, most = &w.large, w.queue.Chunk
	}
	w.wasSmall = from == &w.small
	n, work := 0, 0
	for n < min(len(*from), mostChanges) && (n == 0 || (*from)[n-1].large == nil) {
		if work += (*from)[n].weight(); n > 0 && work > most {
			break
		}
		n++
	}
	r.batch, *from = (*from)[:n:n], (*from)[n:]
	if len(*from) == 0 {
		*from = nil
	}
	n = min(len(w.loads), mostLoads)
	r.loads, w.loads, w.unloads = w.loads[:n:n], w.loads[n:], nil
	return r
}

// housekeep lets the store remove what has outlived its time.
func (w *writer) housekeep() {
	removed, again := w.queue.Store.Housekeep(w.queue.Now())
	for _, name := range removed {
		l := w.queue.lane(name)
		l.add(counts{dead: -1}, 0)
		w.checkIdle(l)
	}
	switch {
	case again <= 0:
	case w.aged == nil:
		w.aged = time.AfterFunc(again, w.signal)
	default:
		w.aged.Reset(again)
	}
}

// checkIdle notes a lane that may hold nothing: a lane that is served is open or will be unloaded.
func (w *writer) checkIdle(l *Lane) {
	if l.serving || !w.isEmpty(l) {
		return
	}
	l.inner.ForgetBound()
	if !l.idle {
		l.idle = true
		w.idle = append(w.idle, l)
	}
}

// forget forgets the lanes that hold nothing, once there are many.
func (w *writer) forget() {
	if len(w.idle) < mostIdle {
		return
	}
	var stored []*Lane
	idle := slices.DeleteFunc(w.idle, func(l *Lane) bool {
		l.idle = !l.serving && w.isEmpty(l)
		if l.idle && l.Num != 0 {
			stored = append(stored, l)
		}
		return !l.idle
	})
	w.idle = nil
	if len(stored) > 0 {
		if _, err := w.try([]*change{{apply: func(t *transaction) error { return t.Forget(stored) }}}); err != nil {
			w.queue.Store.Failed(err)
			w.idle = idle
			return
		}
	}
	for _, l := range idle {
		l.idle, l.Num = false, 0
		w.queue.scheduler.Forget(l.inner)
	}
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
		t.undo()
		return t.failed, err
	}
	w.commits.Add(1)
	t.finish()
	if last := batch[len(batch)-1]; last.large != nil && last.refused == nil {
		w.begin(last.large)
	}
	return nil, nil
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
	held := func(lane string, num int64) bool {
		l := q.find(lane)
		return l != nil && l.held.Get(num) != nil
	}
	_, err := w.try([]*change{{apply: func(t *transaction) error { return t.Follow(by, wall, q.LastNum, held) }}})
	if err != nil {
		q.Store.Failed(err)
		w.tryAgain()
		return err
	}
	q.steps.Store(steps)
	q.Log.Warn("tocsin: the clock was set; the queue follows", "by", time.Duration(by))
	for _, l := range q.scheduler.All() {
		if laneOf(l).serving {
			l.Reload()
		}
	}
	return nil
}
