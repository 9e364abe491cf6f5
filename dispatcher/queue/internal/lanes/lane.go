package lanes

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Lane is one route's share of a Scheduler. Its workers are goroutines that live while there is work: the lane starts
// one when a job may start, a worker that takes a job starts the next while more may, and each leaves when none may.
type Lane struct {
	name string
	hash uint64
	s    *Scheduler
	data any // what Hooks.New returned

	mu      sync.Mutex
	removed atomic.Bool // from the scheduler: another lane may have the name
	handler queue.Handler
	admit   func() time.Duration
	ctx     context.Context
	cancel  context.CancelFunc
	limit   int
	bound   queue.Bound
	bounded bool   // a bound was set since the lane was last opened, which has to know it then
	group   *Group // of bound; nil = none
	// workers counts the goroutines, starting says that one of them has not looked for its job yet, running counts
	// handlers.
	workers, running int
	starting         bool
	suspended        bool
	heldUntil        int64         // Admit said not before; unset = free
	changed          chan struct{} // closed at the next change; nil = none waits for one

	waiting             int                    // jobs that have not started
	ready               [2]fifo                // those that may start: the urgent ones and the others
	arrived             arrivals               // more of the others, younger than those
	later               heap                   // those whose time has not come, as far as promote has seen
	orderKeys           Map[string, *orderKey] // busy order keys
	scheduled           Map[string, *Entry]    // scheduled jobs that have not started
	ages                *list.List             // what may be dropped, the oldest first; nil unless the lane drops
	firstTurn, lastTurn int64                  // Entry.turn

	stored stored

	timer   *time.Timer
	wakeAt  int64 // when the timer fires; unset = not at all
	woke    int64 // when it last did
	stepped int64 // of the clock, as far as later knows
}

// orderKey is a busy key: one entry of it may start, waits for its time or runs, the others follow.
type orderKey struct {
	head      *Entry
	followers fifo
}

const (
	urgentFirst = iota
	others
)

func newLane(s *Scheduler, name string) *Lane {
	l := &Lane{
		name: name, hash: s.Hash(name), s: s, heldUntil: unset, wakeAt: unset, woke: unset, stepped: s.clock.steps.Load(),
		ready: [2]fifo{{place: ready}, {place: ready}}, stored: stored{next: unset},
	}
	if s.hooks.New != nil {
		l.data = s.hooks.New(l)
	}
	return l
}

var _ queue.Lane = (*Lane)(nil)

// Removed reports whether the lane was forgotten. Add finds another one of its name then.
func (l *Lane) Removed() bool { return l.removed.Load() }

// Hash tells lanes apart by name, for as long as the scheduler lives.
func (l *Lane) Hash() uint64 { return l.hash }

func (l *Lane) open(o queue.LaneOptions, h queue.Handler) error {
	if l.handler != nil {
		return queue.ErrLaneOpen
	}
	l.handler, l.admit, l.limit, l.heldUntil, l.bounded = h, o.Admit, o.Limit, unset, false
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.s.opened(1)
	if l.s.hooks.Refill != nil {
		l.stored.first = true
		l.reload()
	}
	l.promote()
	l.startWorker()
	return nil
}

// Limit implements queue.Lane.
func (l *Lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.heldUntil = n, unset
	l.startWorker()
	l.notify()
}

// Drain implements queue.Lane.
func (l *Lane) Drain(ctx context.Context, until time.Time) error {
	return l.await(ctx, func() bool {
		if l.workers > 0 {
			return false
		}
		if l.limit <= 0 || l.handler == nil || l.suspended {
			return true
		}
		end := l.s.clock.now()
		if !until.IsZero() {
			end = max(end, l.s.clock.at(unixNano(until)))
		}
		return l.readyNow() == 0 && !l.anyDue(end) && !l.storedDue(end)
	})
}

// Stop implements queue.Lane.
func (l *Lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	if l.handler != nil {
		l.handler = nil
		l.s.opened(-1)
	}
	cancel := l.cancel
	l.setTimer()
	l.notify()
	l.mu.Unlock()
	defer l.s.release(l)
	defer cancel()
	idle := func() bool { return l.workers == 0 }
	if l.await(ctx, idle) == nil {
		return nil
	}
	cancel()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), queue.StopGrace)
	defer stop()
	running := 0
	if l.await(grace, func() bool { running = l.running; return idle() }) == nil {
		return nil
	}
	return &queue.StillRunningError{Lane: l.name, Handlers: running}
}

// await returns nil once ok, which is asked with the lane locked after each change, or the error of ctx.
func (l *Lane) await(ctx context.Context, ok func() bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
	return nil
}

// notify wakes those who wait for a change. It is called, as all below, with the lane locked.
func (l *Lane) notify() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *Lane) readyNow() int { return l.ready[urgentFirst].n + l.ready[others].n + l.arrived.n }

func (l *Lane) anyDue(now int64) bool { return len(l.later) > 0 && l.later[0].due <= now }

// isClosed reports whether the lane is closed and nothing of it runs.
func (l *Lane) isClosed() bool { return l.handler == nil && l.workers == 0 }

// isIdle reports whether the lane is nothing but a name.
func (l *Lane) isIdle() bool { return l.isClosed() && l.waiting == 0 && !l.bounded }

// addJob puts a new job, which is counted, where it waits.
func (l *Lane) addJob(j *queue.Job) {
	if l.ages == nil && isArrival(j) {
		l.lastTurn++
		l.arrived.push(arrival{j.Event, j.Generation, j.Enqueued, j.Headers, l.lastTurn})
		return
	}
	e := new(Entry)
	l.s.clock.fill(e, j)
	l.add(e)
}

// add puts a new entry, which is counted, where it waits.
func (l *Lane) add(e *Entry) {
	l.setTurn(e, false)
	if key := e.scheduleKey(); key != "" {
		l.scheduled.Set(key, e)
	}
	if e.orderKey != "" {
		if busy := l.orderKeys.Get(e.orderKey); busy != nil {
			busy.followers.pushBack(e)
			return
		}
		l.orderKeys.Set(e.orderKey, &orderKey{head: e, followers: fifo{place: follower}})
	}
	l.place(e)
}

// setTurn makes an entry the youngest or the oldest of those that wait.
func (l *Lane) setTurn(e *Entry, oldest bool) {
	if oldest {
		l.firstTurn--
		e.turn = l.firstTurn
	} else {
		l.lastTurn++
		e.turn = l.lastTurn
	}
	switch {
	case l.ages == nil:
	case oldest:
		e.age = l.ages.PushFront(e)
	default:
		e.age = l.ages.PushBack(e)
	}
}

// place puts an entry that no other one holds back among those that may start, or those whose time has not come. One
// from a store may start, because its keeper said so: the clock may have been set back since.
func (l *Lane) place(e *Entry) {
	if e.due != unset && l.s.hooks.Refill == nil {
		if due := l.s.clock.due(e); due > l.s.clock.now() {
			l.later.push(due, e)
			l.setTimer()
			return
		}
	}
	l.makeReady(e)
}

// makeReady puts an entry behind those that may start.
func (l *Lane) makeReady(e *Entry) {
	if e.urgent {
		l.ready[urgentFirst].pushBack(e)
		return
	}
	l.moveArrived()
	l.ready[others].pushBack(e)
}

// moveArrived gives the entries that have arrived a place of their own, before anything else gets behind them or is
// done to what waits.
func (l *Lane) moveArrived() {
	for l.arrived.n > 0 {
		l.ready[others].pushBack(l.s.clock.entry(l.arrived.front()))
		l.arrived.removeFront()
	}
}

// readyList is where e is when it may start.
func (l *Lane) readyList(e *Entry) *fifo {
	if e.urgent {
		return &l.ready[urgentFirst]
	}
	return &l.ready[others]
}

// comeBack puts an entry that ran back, as the oldest of those that wait. One that a store keeps until a later time
// does not come here: it leaves the lane, and add gets it again.
func (l *Lane) comeBack(e *Entry, out queue.Disposition) {
	if key := e.scheduleKey(); key != "" {
		switch {
		case out.Action == queue.Retry:
			e.ref.key = ""
		case l.scheduled.Get(key) != nil: // replaced: one that was only postponed has not started
			l.releaseOrderKey(e)
			return
		default:
			l.scheduled.Set(key, e)
		}
	}
	l.countWaiting(1)
	l.setTurn(e, true)
	e.wall = false
	switch {
	case out.Delay > 0:
		e.due = l.s.clock.after(out.Delay)
		l.later.push(e.due, e)
		l.setTimer()
	case out.Action == queue.Postpone:
		e.due = unset
		l.readyList(e).pushFront(e)
	default: // behind the others, or a policy without pauses would keep a lane for one job
		e.due = unset
		l.makeReady(e)
	}
}

// takeOut takes a waiting entry out of where it waits.
func (l *Lane) takeOut(e *Entry) {
	switch e.place {
	case ready:
		l.readyList(e).remove(e)
	case later:
		l.later.remove(e)
	case follower:
		l.orderKeys.Get(e.orderKey).followers.remove(e)
	case nowhere:
	}
	l.removeWaiting(e)
}

// removeWaiting counts an entry no longer among those that wait.
func (l *Lane) removeWaiting(e *Entry) {
	l.countWaiting(-1)
	if e.age != nil {
		l.ages.Remove(e.age)
		e.age = nil
	}
	if key := e.scheduleKey(); key != "" {
		l.scheduled.Remove(key)
	}
}

// remove takes an entry that has not started out of the lane.
func (l *Lane) remove(e *Entry) {
	l.takeOut(e)
	l.releaseOrderKey(e)
	l.refill()
	l.setTimer()
	l.startWorker()
	l.notify()
}

// releaseOrderKey lets the next entry of e's order key go. e does not run, and waits nowhere any more.
func (l *Lane) releaseOrderKey(e *Entry) {
	if e.orderKey == "" {
		return
	}
	busy := l.orderKeys.Get(e.orderKey)
	if busy.head != e {
		return
	}
	busy.head = busy.followers.pop()
	if busy.head == nil {
		l.orderKeys.Remove(e.orderKey)
		return
	}
	l.place(busy.head)
}

// each calls do for all that wait.
func (l *Lane) each(do func(*Entry)) {
	l.moveArrived()
	for i := range l.ready {
		l.ready[i].each(do)
	}
	for _, item := range l.later {
		do(item.entry)
	}
	for _, busy := range l.orderKeys.all {
		busy.followers.each(do)
	}
}

// purge removes all that waits and reports how many there were.
func (l *Lane) purge() int {
	n := l.waiting
	var running Map[string, *orderKey]
	for key, busy := range l.orderKeys.all {
		busy.followers = fifo{place: follower}
		if busy.head.place == nowhere {
			running.Set(key, busy)
		}
	}
	l.orderKeys = running
	l.ready, l.arrived = [2]fifo{{place: ready}, {place: ready}}, arrivals{}
	l.later = nil
	l.countWaiting(-n)
	l.scheduled = Map[string, *Entry]{}
	if l.ages != nil {
		l.ages.Init()
	}
	l.setTimer()
	l.notify()
	return n
}

// count is what waits and runs.
func (l *Lane) count() queue.Counts {
	for l.handler == nil && l.anyDue(l.s.clock.now()) {
		l.promote() // nothing wakes a closed lane
	}
	return queue.Counts{Due: l.waiting - len(l.later), Later: len(l.later), Running: l.running}
}
