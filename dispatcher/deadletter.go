package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// deadDelivery is a delivery that is not attempted again.
type deadDelivery struct {
	delivery channel.Delivery
	reason   string
	err      error     // of its last attempt; nil = it was not tried again
	began    time.Time // when that began; zero likewise
	fallback string    // name of the route that is to get it; "" = none
	tries    int       // to give it to the fallback
}

const (
	fallbackPause     = time.Second // until a fallback is offered a dead delivery again; it doubles
	fallbackMaxPause  = time.Minute
	maxAwaitsFallback = 10_000 // of a lane; a delivery beyond that is attempted once more
)

// markDead ends a delivery of r. It is over only when its fallback, if it has one, has it: while the fallback has no
// room, or the queue cannot store anything, the delivery stays in the queue, and is not attempted again. Should the
// process end meanwhile, a durable queue runs it again, which makes another attempt before it is dead again.
func (l *lane) markDead(r *activeRoute, d *deadDelivery) queue.Disposition {
	if d.tries == 0 {
		d.fallback = r.Protect.Fallback
	}
	problem, later := l.offer(d)
	if !later {
		l.logNoFallback(d, problem)
		l.reportDead(r, d)
		return queue.Disposition{Action: queue.Dead, Began: d.began, Reason: d.reason}
	}
	if d.tries == 0 {
		l.engine.log.Warn("tocsin: a dead delivery waits for its fallback", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrFallback, d.fallback,
			AttrEventID, d.delivery.Event.ID(), AttrReason, problem)
	}
	pause := min(fallbackPause<<min(d.tries, 10), fallbackMaxPause)
	d.tries++
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awaitsFallback == nil {
		l.awaitsFallback = map[deliveryKey]*deadDelivery{}
	}
	if len(l.awaitsFallback) < maxAwaitsFallback {
		l.awaitsFallback[deliveryKey{d.delivery.Event.ID(), d.delivery.Generation}] = d
		l.awaits.Store(true)
	}
	return queue.Disposition{Action: queue.Postpone, Delay: pause}
}

// takeAwaiting returns j as a dead delivery if it waits for its fallback, with the fallback of today; nil = it does
// not.
func (l *lane) takeAwaiting(r *activeRoute, j *queue.Job) *deadDelivery {
	if !l.awaits.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := deliveryKey{j.Event.ID(), j.Generation}
	d := l.awaitsFallback[key]
	delete(l.awaitsFallback, key)
	l.awaits.Store(len(l.awaitsFallback) > 0)
	if d != nil {
		d.fallback = r.Protect.Fallback
	}
	return d
}

// clearAwaiting is called when what waits in the lane was removed.
func (l *lane) clearAwaiting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.awaitsFallback)
	l.awaits.Store(false)
}

// offer gives a dead delivery to its fallback. It returns why that does not take it, "" = it has it or there is none,
// and whether it may take it later.
func (l *lane) offer(d *deadDelivery) (problem string, later bool) {
	if d.fallback == "" {
		return "", false
	}
	e := l.engine
	to := e.table.Load().fallback(l.id.Tenant, d.fallback)
	if to == nil {
		return noSuchRoute, false
	}
	if problem := to.mismatch(d.delivery.Event); problem != "" {
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

// logNoFallback logs that a delivery is over without its fallback, if it is.
func (l *lane) logNoFallback(d *deadDelivery, problem string) {
	if problem != "" {
		l.engine.log.Error("tocsin: the fallback does not take a dead delivery", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrFallback, d.fallback,
			AttrEventID, d.delivery.Event.ID(), AttrReason, problem)
	}
}

// reportDead counts, logs and reports a dead delivery. r is its route; nil = that was removed.
func (l *lane) reportDead(r *activeRoute, d *deadDelivery) {
	e := d.delivery.Event
	if l.id.Tenant != AnyTenant {
		d.delivery.Route.Tenant = e.Tenant()
	}
	if r != nil && r.takes(e.Tenant()) {
		r.destination.record.countDead()
	}
	l.engine.log.Error("tocsin: delivery is dead", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrEventID, e.ID(),
		AttrEventType, string(e.Type()), AttrAttempts, d.delivery.Attempt, AttrReason, d.reason)
	l.engine.observers.notifySettled(&Settlement{Delivery: d.delivery, Outcome: Dead, Reason: d.reason, Err: d.err})
}

// dropped is called by a full backlog with a delivery it dropped, which is over: its fallback is asked once.
func (l *lane) dropped(j queue.Job) {
	d := &deadDelivery{
		delivery: channel.Delivery{Event: j.Event, Route: l.id, Attempt: j.Attempt, Generation: j.Generation},
		reason:   "dropped: the backlog was full",
	}
	r := l.current.Load()
	if r != nil {
		l.takeAwaiting(r, &j) // if it waited for the fallback, it does so no more
		d.fallback = r.Protect.Fallback
	}
	l.reportDead(r, d)
	problem, _ := l.offer(d)
	l.logNoFallback(d, problem)
}

// Purge removes what waits in the lane of a route, which may be a removed one, and reports how many deliveries.
func (e *Engine) Purge(ctx context.Context, route RouteID) (int, error) {
	n, err := e.queue.Purge(ctx, route.String())
	if r := e.table.Load().find(route); r != nil {
		r.lane.clearAwaiting()
	}
	return n, err
}
