package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// freeEntries is how many settled entries a lane keeps for reuse, so that a burst does not hold its memory for ever.
const freeEntries = 1024

// lane is one route's share of a Memory. Workers are goroutines that live while there is work: the lane starts one when
// a job becomes ready, a worker that takes a job starts the next while more are ready, and each leaves when none is.
type lane struct {
	name   string
	memory *Memory
	number int
	next   atomic.Pointer[lane] // see Memory.following

	mu      sync.Mutex
	handler Handler // nil = closed
	admit   func() time.Duration
	ctx     context.Context
	abort   context.CancelFunc
	limit   int
	bound   Bound
	// workers counts the goroutines, starting says that one of them has not looked for its job yet, running counts
	// handlers.
	workers, running int
	starting         bool
	heldUntil        int64 // Admit said not before; unset = free
	changed          chan struct{}

	ready   list
	inbox   inbox // more ready ones, younger than those
	later   heap[*entry]
	overdue bool              // some of later are due, and wait for the ready ones to be fewer
	byAge   list              // all that wait but those in the inbox, the oldest first
	keys    map[string]*order // busy order keys
	named   map[string]*entry // scheduled jobs that have not started
	free    []*entry
	bell    bell
}

// order is a busy order key: one entry of it is ready, later or running, the others follow.
type order struct {
	head      *entry
	followers list
}

func newLane(m *Memory, name string, number int) *lane {
	l := &lane{
		name: name, memory: m, number: number, heldUntil: unset,
		keys: map[string]*order{}, named: map[string]*entry{},
	}
	l.byAge.link = byAge
	l.bell = bell{lane: l, asked: unset, index: -1}
	return l
}

var _ Lane = (*lane)(nil)

func (l *lane) open(o LaneOptions, h Handler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handler != nil {
		return ErrLaneOpen
	}
	l.handler, l.admit, l.limit = h, o.Admit, o.Limit
	l.heldUntil = unset
	l.ctx, l.abort = context.WithCancel(context.Background())
	l.promote(l.memory.now())
	l.kick()
	return nil
}

// Limit implements Lane.
func (l *lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.heldUntil = unset
	l.kick()
	l.signal()
}

func (l *lane) setBound(b Bound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bound = b
}

// Drain implements Lane.
func (l *lane) Drain(ctx context.Context, until time.Time) error {
	at := l.memory.stamp(until)
	return l.await(ctx, func() bool {
		return l.workers == 0 &&
			(l.limit <= 0 || l.handler == nil || l.readyNow() == 0 && !l.anyDue(max(at, l.memory.now())))
	})
}

// Stop implements Lane.
func (l *lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.handler = nil
	abort := l.abort
	l.memory.alarm.set(&l.bell, unset)
	l.signal()
	l.mu.Unlock()
	defer abort()
	quiet := func() bool { return l.workers == 0 }
	if l.await(ctx, quiet) == nil {
		return nil
	}
	abort()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), StopGrace)
	defer stop()
	running := 0
	if l.await(grace, func() bool { running = l.running; return quiet() }) == nil {
		return nil
	}
	return &StillRunningError{Lane: l.name, Handlers: running}
}

// await returns nil once ok, which is asked with the lane locked after each change, or the error of ctx.
func (l *lane) await(ctx context.Context, ok func() bool) error {
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

func (l *lane) signal() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// kick starts a worker if one is needed.
func (l *lane) kick() {
	if l.starting || l.readyNow() == 0 || l.handler == nil || l.workers >= l.limit || l.heldUntil != unset {
		return
	}
	l.starting = true
	l.workers++
	go l.work()
}

// mayStart reports whether there is a job and it may start now, which is then counted by Admit.
func (l *lane) mayStart() bool {
	if l.overdue && l.readyNow() == 0 {
		l.promote(l.memory.now())
	}
	if l.readyNow() == 0 || l.handler == nil || l.workers > l.limit || l.heldUntil != unset {
		return false
	}
	if l.admit != nil {
		if wait := l.admit(); wait > 0 {
			l.heldUntil = l.memory.after(wait)
			l.setAlarm()
			return false
		}
	}
	return true
}

// settle applies the outcome of e, which is running no more.
func (l *lane) settle(e *entry, out Outcome) {
	if out.Action == Retry || out.Action == Dead && !out.Began.IsZero() {
		e.attempt++
		if e.firstTried == unset {
			e.firstTried = l.memory.stamp(out.Began)
		}
	}
	switch out.Action {
	case Retry, Postpone:
		l.comeBack(e, out)
	case Dead:
		l.bury(e, out.Reason)
		l.finish(e)
	default:
		l.finish(e)
	}
}

// wakeUp is the alarm's call.
func (l *lane) wakeUp(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bell.asked = unset
	if l.heldUntil <= now {
		l.heldUntil = unset
	}
	l.promote(now)
	l.kick()
	l.signal()
}
