package lanes

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// startWorker starts a worker if one is needed.
func (l *Lane) startWorker() {
	if l.starting || l.readyNow() == 0 || l.handler == nil || l.workers >= l.limit || l.heldUntil != unset {
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
		if running { // the handler has ended its goroutine (runtime.Goexit), as testing's FailNow does
			l.abandon(&t)
		}
	}()
	for first := true; l.next(&t, first); first = false {
		running = true
		t.out = l.call(&t)
		running = false
		l.store(&t)
	}
}

// turn is what a worker has in hand.
type turn struct {
	busy    bool   // there is a job
	entry   *Entry // its entry; nil = own
	own     Entry  // of a job that was among those that have arrived
	job     queue.Job
	handler queue.Handler
	ctx     context.Context
	out     queue.Disposition // of job
	leaves  bool              // the lane, although it is to run again
}

// call runs the handler; one that panics has failed.
func (l *Lane) call(t *turn) (out queue.Disposition) {
	if t.entry != nil && t.entry.ref != nil && t.entry.ref.Unreadable != "" {
		return queue.Disposition{Action: queue.Dead, Reason: t.entry.ref.Unreadable}
	}
	defer func() {
		if recover() != nil {
			out = panicOutcome()
		}
	}()
	ctx := t.ctx
	if start := l.s.hooks.Start; start != nil {
		ctx = start(ctx, l, t.entry, &t.job)
	}
	return t.handler(ctx, t.job)
}

// store makes the outcome durable where there is a store.
func (l *Lane) store(t *turn) {
	if settle := l.s.hooks.Settle; settle != nil {
		t.out, t.leaves = settle(t.ctx, l, t.entry, &t.job, t.out)
	}
}

// panicOutcome is the outcome of a handler that did not return.
func panicOutcome() queue.Disposition {
	return queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
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
	t.busy = l.take(t)
	if !t.busy {
		l.workers--
		l.notify()
		return false
	}
	l.startWorker()
	t.handler, t.ctx = l.handler, l.ctx
	if t.entry != nil {
		t.job = l.s.clock.job(t.entry, l.name)
	} else {
		t.job = l.s.clock.job(&t.own, l.name)
	}
	return true
}

// take gives t the next job to run and reports whether there is one.
func (l *Lane) take(t *turn) bool {
	if l.readyNow() == 0 && len(l.later) > 0 {
		l.promote()
	}
	if l.readyNow() == 0 || l.handler == nil || l.workers > l.limit || l.heldUntil != unset {
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
		l.left(e)
		if e.ref != nil {
			e.ref.started = true
			l.refill()
		}
		return true
	}
	l.arrived.pop(&t.own)
	l.waiting-- // nobody knows it by name or age
	return true
}

// settle applies the outcome of an entry that does not run any more.
func (l *Lane) settle(t *turn) {
	l.running--
	e := t.entry
	if t.leaves || t.out.Action == queue.Done || t.out.Action == queue.Dead {
		if e != nil {
			l.finish(e)
		}
		return
	}
	if e == nil {
		e = new(Entry)
		*e = t.own
	}
	if t.out.Action == queue.Retry {
		l.s.clock.count(e, t.out.Began)
	}
	l.comeBack(e, t.out)
}

// abandon settles the job of a worker whose goroutine ends.
func (l *Lane) abandon(t *turn) {
	t.out = panicOutcome()
	l.store(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(t)
	l.workers--
	l.startWorker()
	l.notify()
}
