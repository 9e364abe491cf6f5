package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// death is a delivery that is given up.
type death struct {
	delivery channel.Delivery
	reason   string
	err      error     // of its last attempt; nil = it was not tried again
	began    time.Time // when that began; zero likewise
	tenant   string    // under which it is reported
	fallback string    // which is to get it; "" = none
	tries    int       // to give it to the fallback
}

const (
	fallbackPause    = time.Second // until a fallback is offered a dead delivery again; it doubles
	fallbackMaxPause = time.Minute
	maxWaitingDeaths = 10_000 // of a lane; what is forgotten is attempted once more
)

// die gives up a delivery of b. It is over only when its fallback, if it has one, has it: while the fallback has no
// room, or the queue cannot store anything, the delivery stays in the queue, and is not attempted again. Should the
// process end meanwhile, a durable queue runs it again, which is another attempt, and another death.
func (l *lane) die(b *bound, d *death) queue.Disposition {
	if d.tries == 0 {
		d.tenant, d.fallback = b.label(d.delivery.Event), b.Protect.Fallback
	}
	problem, later := l.fallBack(d)
	if !later {
		l.noFallback(d, problem)
		l.markDead(b, d)
		return queue.Disposition{Action: queue.Dead, Began: d.began, Reason: d.reason}
	}
	if d.tries == 0 {
		l.engine.log.Warn("tocsin: a dead delivery waits for its fallback", AttrRoute, l.name, AttrFallback, d.fallback,
			AttrEventID, d.delivery.Event.ID(), AttrReason, problem)
	}
	pause := min(fallbackPause<<min(d.tries, 10), fallbackMaxPause)
	d.tries++
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[attemptKey]*death{}
	}
	if len(l.waiting) < maxWaitingDeaths {
		l.waiting[attemptKey{d.delivery.Event.ID(), d.delivery.Generation}] = d
	}
	return queue.Disposition{Action: queue.Postpone, Delay: pause}
}

// waitingDeath returns j's death if that waits for its fallback, which is the one of today; nil = it does not.
func (l *lane) waitingDeath(b *bound, j *queue.Job) *death {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := attemptKey{j.Event.ID(), j.Generation}
	d := l.waiting[key]
	delete(l.waiting, key)
	if d != nil && b.Tenant == d.tenant {
		d.fallback = b.Protect.Fallback
	}
	return d
}

// forgetDeaths is called when what waits in the lane was removed.
func (l *lane) forgetDeaths() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.waiting)
}

// fallBack gives a delivery that is given up to its fallback. It returns why that does not take it, "" = it has it or
// there is none, and whether it may take it later.
func (l *lane) fallBack(d *death) (problem string, later bool) {
	if d.fallback == "" {
		return "", false
	}
	e := l.engine
	to := e.index.Load().named[d.fallback]
	if to == nil {
		return "does not exist", false
	}
	if problem := to.unfit(d.delivery.Event); problem != "" {
		return problem, false
	}
	// The context of the attempt may have ended.
	err := e.enqueue(context.Background(), []queue.Job{to.job(d.delivery.Event, d.delivery.Generation, e.clock.now())})
	if err == nil {
		e.fallbacks.Add(1)
		return "", false
	}
	_, conflict := errors.AsType[*ConflictError](err)
	return err.Error(), !conflict
}

// noFallback logs that a delivery is over without its fallback, if it is.
func (l *lane) noFallback(d *death, problem string) {
	if problem == "" {
		return
	}
	l.engine.log.Error("tocsin: the fallback does not take a dead delivery", AttrRoute, l.name, AttrFallback, d.fallback,
		AttrEventID, d.delivery.Event.ID(), AttrReason, problem)
}

// markDead reports a delivery as dead. b is its route; nil = that was removed.
func (l *lane) markDead(b *bound, d *death) {
	e := d.delivery.Event
	if b != nil && b.takes(e.Tenant()) {
		b.dest.record.died.Add(1)
	}
	l.engine.log.Error("tocsin: delivery is dead", AttrRoute, l.name, AttrEventID, e.ID(),
		AttrEventType, string(e.Type()), AttrAttempts, d.delivery.Attempt, AttrReason, d.reason)
	l.engine.observers.settled.notify(&Settlement{Delivery: d.delivery, Tenant: d.tenant, Outcome: Dead, Reason: d.reason, Err: d.err})
}

// dropped is called by a full backlog with a delivery it gave up, which is over: its fallback is asked once.
func (l *lane) dropped(j queue.Job) {
	d := &death{
		delivery: channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt, Generation: j.Generation},
		reason:   "dropped: the backlog was full",
		tenant:   j.Event.Tenant(),
	}
	b := l.current.Load()
	if b != nil {
		l.waitingDeath(b, &j) // if it waited for the fallback, it does so no more
		d.tenant, d.fallback = b.label(j.Event), b.Protect.Fallback
	}
	l.markDead(b, d)
	problem, _ := l.fallBack(d)
	l.noFallback(d, problem)
}
