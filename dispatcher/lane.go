package dispatcher

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// lane makes the attempts of the routes that follow each other under one RouteID. Each attempt uses the route of that
// moment.
type lane struct {
	id      RouteID
	name    string // id as text, by which the queue knows the lane
	engine  *Engine
	current atomic.Pointer[activeRoute] // changed with mu held; nil = the route was removed
	busy    int                         // replaced routes that still send; Engine.admin guards it

	mu             sync.Mutex
	queue          queue.Lane // nil before Run
	pacedUntil     time.Time  // by when the latest delivery that was postponed for a short time is due
	awaitsFallback map[deliveryKey]*deadDelivery
	awaits         atomic.Bool // awaitsFallback is not empty
}

const (
	// maxPaced is the longest pause that counts as pace: a shutdown without a deadline waits for it, again and again.
	maxPaced = 10 * time.Second
	// pacedSlack is what the queue may add to such a pause: it begins once the outcome is stored, by the queue's clock.
	pacedSlack = time.Second
)

// acquire returns the current route, which stays usable until it is released; nil = there is none.
func (l *lane) acquire() *activeRoute {
	for {
		r := l.current.Load()
		if r == nil || r.acquire() {
			return r
		}
	}
}

// swap makes r the current route; nil = none. Called with mu held.
func (l *lane) swap(r *activeRoute) {
	if previous := l.current.Swap(r); previous != nil {
		previous.leave()
	}
}

// install makes r the lane's route. It returns the previous one, if any, and whether its destination gets another try.
func (l *lane) install(r *activeRoute) (previous *activeRoute, retried bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	previous = l.current.Load()
	if previous == nil || previous.use != r.use {
		r.destination = new(destination)
	} else {
		r.destination, retried = previous.destination, previous.State != Enabled && r.State == Enabled
		r.destination.follow(r.Protect.Breaker, retried)
	}
	l.swap(r)
	l.engine.queue.Bound(l.name, l.bound(r))
	l.setLimit()
	return previous, retried
}

// bound is what the lane may hold.
func (l *lane) bound(r *activeRoute) queue.Bound {
	b := queue.Bound{
		Jobs: r.Backlog.Jobs, DropOldest: r.Backlog.Overflow == DropOldest, Keep: isBreakGlass, Dropped: l.dropped,
		DeadLetters: r.DeadLetters.Count, DeadLetterAge: r.DeadLetters.Age,
	}
	if l.engine.tenantBacklog > 0 && r.Tenant != "" && r.Tenant != AnyTenant {
		b.Group, b.GroupJobs = r.Tenant, l.engine.tenantBacklog
	}
	return b
}

// follow makes a destination that was in use before obey the settings of a changed route. With retry it gets another
// try. Called with the lane's mutex held.
func (d *destination) follow(p Breaker, retry bool) {
	if retry {
		if d.autoDisabled {
			d.retried = time.Now()
		}
		d.gone, d.autoDisabled = false, false
	}
	d.breaker.follow(p, retry)
}

// remove takes the route away. The lane keeps what it holds.
func (l *lane) remove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swap(nil)
	l.setLimit()
}

func isBreakGlass(e event.Event) bool { return e.Type() == event.TypeRequestBreakGlass }

// open starts serving the lane. Called with engine.admin held.
func (l *lane) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, err := l.engine.queue.Open(l.name, queue.LaneOptions{Limit: l.limit(), Admit: l.admit}, l.handle)
	if err != nil {
		return fmt.Errorf("open lane %q: %w", l.name, err)
	}
	l.queue = q
	return nil
}

// stop waits for the sends of an opened lane as queue.Lane.Stop does.
func (l *lane) stop(ctx context.Context) error {
	l.mu.Lock()
	q := l.queue
	l.queue = nil
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Stop(ctx)
}

// drain waits as queue.Lane.Drain does, and without a time for what is paced by seconds, too.
func (l *lane) drain(ctx context.Context, until time.Time) error {
	l.mu.Lock()
	q := l.queue
	l.setLimit() // a lane that may not start anything before the end is paused now
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	if !until.IsZero() {
		return q.Drain(ctx, until)
	}
	for {
		paced := l.paced()
		if err := q.Drain(ctx, paced); err != nil || !l.paced().After(paced) {
			return err
		}
	}
}

func (l *lane) paced() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pacedUntil
}

// notePaced notes by when a delivery that was postponed is due.
func (l *lane) notePaced(now time.Time, delay time.Duration) {
	if delay > maxPaced {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pacedUntil = latest(l.pacedUntil, now.Add(delay+pacedSlack))
}

// reconsider makes the queue ask Admit again.
func (l *lane) reconsider() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setLimit()
}

func (l *lane) setLimit() {
	if l.queue != nil {
		l.queue.Limit(l.limit())
	}
}

func (l *lane) limit() int {
	r := l.current.Load()
	switch {
	case r == nil || r.State != Enabled || r.destination.gone || r.destination.autoDisabled,
		l.engine.calls.isClosed() && r.rests(l.engine.drainTimeout()):
		return 0
	case r.Order == Strict:
		return 1 // also for a queue that orders whole lanes only
	}
	return r.Concurrency
}

// admit lets an attempt start, or says how long none may: the lane's one answer to the breaker, to a receiver that
// asked for no more requests, and to the rate. The queue calls it with its lane locked, so it does not take mu.
func (l *lane) admit() time.Duration {
	r := l.current.Load()
	if r == nil {
		return 0
	}
	d := r.destination
	if wait := d.breaker.wait(); wait > 0 {
		return wait
	}
	if wait := d.rate.take(r.Rate); wait > 0 {
		return wait
	}
	d.breaker.started(r.Timeout)
	return 0
}

// disableAfter disables the route if its destination has been failing for too long; zero = it is not known to fail.
func (l *lane) disableAfter(r *activeRoute, failing time.Time, err error) {
	if r.Protect.DisableAfter <= 0 || failing.IsZero() {
		return
	}
	l.mu.Lock()
	counted := latest(failing, r.destination.retried)
	l.mu.Unlock()
	if time.Since(counted) >= r.Protect.DisableAfter {
		l.disable(r, false, &FailingError{Since: failing, Err: err})
	}
}

// disable pauses the lane of a destination that is gone, or that failed for too long, unless the route has got another
// destination meanwhile.
func (l *lane) disable(r *activeRoute, gone bool, reason error) {
	l.mu.Lock()
	d, current := r.destination, l.current.Load()
	already := d.gone || d.autoDisabled || current == nil || current.destination != d
	if !already {
		d.gone, d.autoDisabled = gone, !gone
		l.setLimit()
	}
	l.mu.Unlock()
	if already {
		return
	}
	if gone {
		l.engine.log.Error("tocsin: destination is gone; its route is held until it is corrected", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrError, reason)
	} else {
		l.engine.log.Error("tocsin: route failed for too long; it is held until it is corrected", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrError, reason)
	}
	l.engine.observers.notifyDisabled(Disablement{Route: l.id, Reason: reason})
}
