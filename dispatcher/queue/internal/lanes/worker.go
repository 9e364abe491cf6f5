package lanes

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// startWorker starts a worker if one is needed.
func (l *Lane) startWorker() {
	if l.starting || l.suspended || l.readyNow() == 0 || l.handler == nil || l.workers >= l.limit || l.heldUntil != unset {
		return
	}
	l.starting = true
	l.workers++
	go l.work()
}

// work runs jobs until there is none to run.
func (l *Lane) work() {
	var t turn
	running := false
	defer func() {
		if running { // the handler has panicked, or ended its goroutine (runtime.Goexit), as testing's FailNow does
			_ = recover()
			l.abandon(&t)
		}
	}()
	for first := true; l.next(&t, first); first = false {
		running = true
		l.call(&t)
		running = false
		l.store(&t)
	}
	if t.last {
		l.s.release(l)
	}
}

// turn is what a worker has in hand.
type turn struct {
	busy    bool   // there is a job
	entry   *Entry // its entry; nil = it arrived and has none
	job     queue.Job
	handler queue.Handler
	ctx     context.Context
	out     queue.Disposition // of job
	leaves  bool              // the lane, although it is to run again
	last    bool              // this worker was the last one of a lane that is closed
}

// call runs the handler.
func (l *Lane) call(t *turn) {
	start := l.s.hooks.Start
	if start == nil {
		t.out = t.handler(t.ctx, t.job)
		return
	}
	ctx, j := start(t.ctx, l, t.entry, t.job)
	if ref := t.entry.ref; ref.Unreadable != "" {
		t.out = queue.Disposition{Action: queue.Dead, Reason: ref.Unreadable}
		return
	}
	t.out = t.handler(ctx, j)
}

// store makes the outcome durable where there is a store.
func (l *Lane) store(t *turn) {
	if dead := l.s.hooks.Dead; dead != nil && t.out.Action == queue.Dead {
		l.mu.Lock()
		bound := l.bound
		l.mu.Unlock()
		dead(t.job, t.out, bound)
	}
	if settle := l.s.hooks.Settle; settle != nil {
		t.out, t.leaves = settle(t.ctx, l, t.entry, t.job, t.out)
	}
}

// next settles the job in hand and takes another, in one locking. Without one the worker has to leave.
func (l *Lane) next(t *turn, first bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.busy {
		l.settle(t)
	}
	if first {
		l.starting = false
	}
	t.busy = l.startNext(t)
	if !t.busy {
		l.workers--
		t.last = l.isClosed()
		l.notify()
		return false
	}
	l.startWorker()
	t.handler, t.ctx = l.handler, l.ctx
	return true
}

// startNext gives t the next job to run and reports whether there is one.
func (l *Lane) startNext(t *turn) bool {
	if l.readyNow() == 0 && len(l.later) > 0 {
		l.promote()
	}
	if l.suspended || l.readyNow() == 0 || l.handler == nil || l.workers > l.limit || l.heldUntil != unset {
		return false
	}
	if l.admit != nil {
		if wait := l.admit(); wait > 0 {
			l.heldUntil = l.s.clock.after(wait)
			l.setTimer()
			return false
		}
	}
	l.running++
	t.entry = l.ready[urgentFirst].pop()
	if t.entry == nil {
		t.entry = l.ready[others].pop()
	}
	if e := t.entry; e != nil {
		t.job = l.s.clock.job(e, l.name)
		l.removeWaiting(e)
		if e.ref != nil {
			e.ref.started = true
			l.refill()
		}
		return true
	}
	t.job = l.arrived.front().job(l.name)
	l.arrived.removeFront()
	l.countWaiting(-1) // nobody knows it by name or age
	return true
}

// settle applies the outcome of an entry that does not run any more.
func (l *Lane) settle(t *turn) {
	l.running--
	e := t.entry
	if t.leaves || t.out.Action == queue.Done || t.out.Action == queue.Dead {
		if e != nil {
			l.releaseOrderKey(e)
		}
		return
	}
	if e == nil {
		e = new(Entry)
		l.s.clock.fill(e, &t.job)
	}
	if t.out.Action == queue.Retry {
		l.s.clock.count(e, t.out.Began)
	}
	l.comeBack(e, t.out)
}

// abandon settles the job of a worker whose handler did not return, and whose goroutine ends.
func (l *Lane) abandon(t *turn) {
	t.out = queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
	l.store(t)
	l.mu.Lock()
	l.settle(t)
	l.workers--
	l.startWorker()
	l.notify()
	last := l.isClosed()
	l.mu.Unlock()
	if last {
		l.s.release(l)
	}
}

const (
	// leastPause is the least time between two wake-ups of a lane: due times that lie closer together are met together,
	// so a dense schedule costs no more than a tick.
	leastPause = time.Millisecond
	// mostPromoted is how many jobs become ready in one locking: when a million come due at once, nobody waits for all
	// of them.
	mostPromoted = 1024
)

// promote moves what is due from the heap to those that may start; if that is a lot, the rest comes when these have
// started.
func (l *Lane) promote() {
	now := l.s.clock.now()
	l.followClock()
	for n := 0; n < mostPromoted && l.anyDue(now); n++ {
		e := l.later[0].entry
		l.later.remove(e)
		l.makeReady(e)
	}
	l.setTimer()
}

// followClock notices that the wall clock was set.
func (l *Lane) followClock() {
	if stepped := l.s.clock.steps.Load(); stepped != l.stepped {
		l.stepped = stepped
		l.later.update(l.s.clock.due)
	}
}

// setTimer asks to be woken when the next entry is due or Admit is to be asked again. A closed lane sleeps.
func (l *Lane) setTimer() {
	at := int64(unset)
	if l.handler != nil {
		at = l.heldUntil
		if len(l.later) > 0 && (at == unset || l.later[0].due < at) {
			at = l.later[0].due
		}
		if l.stored.next != unset {
			if next := l.s.clock.at(l.stored.next); at == unset || next < at {
				at = next
			}
		}
	}
	if at == l.wakeAt {
		return
	}
	l.wakeAt = at
	if at == unset {
		l.timer.Stop()
		return
	}
	if l.woke != unset {
		at = max(at, l.woke+int64(leastPause))
	}
	wait := time.Duration(max(at-l.s.clock.now(), 0))
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.wake)
		return
	}
	l.timer.Reset(wait)
}

// wake is the timer's call, and that of a clock that was set.
func (l *Lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.s.clock.now()
	l.wakeAt, l.woke = unset, now
	if l.heldUntil <= now {
		l.heldUntil = unset
	}
	if l.stored.next != unset && l.s.clock.at(l.stored.next) <= now {
		l.stored.next = unset
		l.reload()
	}
	l.promote()
	l.startWorker()
	l.notify()
}
