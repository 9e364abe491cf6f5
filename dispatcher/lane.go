package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// leastPostpone keeps a channel that postpones for no time, or hardly any, from being asked in a tight loop.
const leastPostpone = 100 * time.Millisecond

// lane makes a route's attempts. It lasts as long as the route's name; each attempt uses the route of that moment.
type lane struct {
	name    string
	engine  *Engine
	current atomic.Pointer[bound] // nil = the route was removed
	pace    pacer
	breaker breaker
	record  record

	mu       sync.Mutex // guards the fields below, and changes of current
	queue    queue.Lane // nil before Run
	gone     bool       // the destination of the current route is
	givenUp  bool       // it failed for Protection.DisableAfter
	pardoned time.Time  // when SetRoutes gave it another chance after that; zero = never
}

// install makes b the lane's route. It returns the former one, if any, which is retired.
func (l *lane) install(b *bound) *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.givenUp {
		l.pardoned = time.Now()
	}
	l.gone, l.givenUp = false, false
	former := l.current.Swap(b)
	l.breaker.change(b.Protect.Breaker)
	if former != nil {
		former.retire()
	}
	if q, ok := l.engine.queue.(queue.Bounder); ok {
		q.Bound(l.name, queue.Bound{
			Jobs: b.Backlog.Jobs, DropOldest: b.Backlog.Overflow == DropOldest, Keep: isBreakGlass, Dropped: l.dropped,
		})
	}
	l.setLimit()
	return former
}

// remove takes the route away, if it is still there, and returns it retired; the lane holds what it has.
func (l *lane) remove() *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	former := l.current.Swap(nil)
	if former == nil {
		return nil
	}
	former.retire()
	l.setLimit()
	return former
}

func isBreakGlass(e event.Event) bool { return e.Type() == event.TypeRequestBreakGlass }

// open starts serving the lane. Called with engine.admin held.
func (l *lane) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Through pointers, because each copy of a job and an outcome is felt.
	handle := func(ctx context.Context, j queue.Job) (out queue.Outcome) {
		l.handle(ctx, &j, &out)
		return out
	}
	q, err := l.engine.queue.Open(l.name, queue.LaneOptions{Limit: l.limit(), Admit: l.admit}, handle)
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

// drain waits as queue.Lane.Drain does.
func (l *lane) drain(ctx context.Context) error {
	l.mu.Lock()
	q := l.queue
	l.setLimit() // a breaker that is open pauses the lane now
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Drain(ctx, time.Time{})
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
	b := l.current.Load()
	if b == nil || b.State != Enabled || l.gone || l.givenUp {
		return 0
	}
	if l.engine.accept.isClosed() && !l.breaker.openUntil().IsZero() {
		return 0 // a shutdown does not wait for a destination that is down
	}
	if b.Order == Strict {
		return 1 // also for a queue that orders whole lanes only
	}
	return b.Concurrency
}

func (l *lane) admit() time.Duration {
	b := l.current.Load()
	if b == nil {
		return 0
	}
	if b.Protect.Breaker.Failures <= 0 {
		return l.pace.admit(b.Rate)
	}
	if wait := l.breaker.wait(); wait > 0 {
		return wait
	}
	if wait := l.pace.admit(b.Rate); wait > 0 {
		return wait
	}
	l.breaker.begin(b.Timeout)
	return 0
}

// handle runs one job: the queue's handler.
func (l *lane) handle(ctx context.Context, j *queue.Job, out *queue.Outcome) {
	var a Attempt
	a.Context, a.Began = ctx, time.Now()
	b := acquire(&l.current)
	if b == nil { // removed since the job was taken
		l.untried(a.Began)
		out.Action = queue.Postpone
		return
	}
	defer b.release()
	if b.State != Enabled { // since the job was taken
		l.untried(a.Began)
		out.Action = queue.Postpone
		return
	}
	a.Tenant = b.Tenant
	a.Delivery = channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt + 1, Generation: j.Generation}
	if reason := b.refuses(j, a.Began); reason != "" {
		a.Delivery.Attempt = j.Attempt
		l.untried(a.Began)
		l.bury(a.Delivery, reason, nil)
		out.Action, out.Reason = queue.Dead, reason
		return
	}
	b.attempt(ctx, &a)
	if a.Err != nil {
		*out = l.failed(ctx, b, j, &a)
		return
	}
	l.delivered(b, &a)
	out.Action, out.Began = queue.Done, a.Began
}

// untried tells the breaker that the attempt which began then says nothing about the destination.
func (l *lane) untried(began time.Time) {
	if l.breaker.untried(began) {
		l.reconsider()
	}
}

func (l *lane) delivered(b *bound, a *Attempt) {
	o := &l.engine.observers
	weight := l.record.success(a.Began, a.Receipt.Skipped)
	if weight > 0 || len(o.attempted.all) > 0 {
		a.Duration = time.Since(a.Began)
	}
	if weight > 0 {
		l.record.took.add(a.Duration, a.Began, weight)
	}
	if a.Receipt.Skipped {
		l.untried(a.Began)
	} else if b.Protect.Breaker.Failures > 0 && l.breaker.succeeded() {
		l.engine.log.Info("tocsin: breaker closed", AttrRoute, l.name)
		l.reconsider()
	}
	o.attempted.tell(a)
	if len(o.settled.all) > 0 {
		s := Settlement{Delivery: a.Delivery, Tenant: a.Tenant, Result: Delivered}
		if a.Receipt.Skipped {
			s.Result = Skipped
		}
		o.settled.tell(&s)
	}
}

// failed decides what becomes of a delivery whose attempt failed.
func (l *lane) failed(ctx context.Context, b *bound, j *queue.Job, a *Attempt) queue.Outcome {
	a.Duration = time.Since(a.Began)
	now := a.Began.Add(a.Duration)
	result := retry.Classify(ctx, a.Err)
	a.Verdict = result.Verdict
	out := queue.Outcome{Action: queue.Dead, Began: a.Began}
	gone := errors.Is(a.Err, channel.ErrGone) && result.Verdict != retry.Postponed
	switch {
	case gone:
		// The delivery waits with the others of its lane until somebody mends the configuration.
		out.Action = queue.Postpone
	case result.Verdict == retry.Postponed:
		out.Action, out.Delay = queue.Postpone, result.Delay
		if ctx.Err() == nil {
			out.Delay = max(out.Delay, leastPostpone)
		}
	case result.Verdict == retry.Final:
		out.Reason = fmt.Sprintf("permanent failure: %v", a.Err)
	default:
		first := j.FirstTried
		if first.IsZero() {
			first = a.Began
		}
		attempt := a.Delivery.Attempt
		delay, again := b.next(retry.Failure{Attempt: attempt, Elapsed: now.Sub(first), Err: a.Err})
		delay = max(delay, result.Delay)
		switch {
		case !again:
			out.Reason = fmt.Sprintf("gave up after attempt %d: %v", attempt, a.Err)
		case b.tooOld(j, now.Add(delay)):
			out.Reason = fmt.Sprintf("would be older than the route's MaxAge of %v at attempt %d: %v", b.MaxAge, attempt+1, a.Err)
		default:
			out.Action, out.Delay = queue.Retry, delay
		}
	}
	a.Next = out.Delay
	var since time.Time
	if result.Verdict != retry.Postponed {
		since = l.record.failure(a.Began, a.Duration, a.Err)
	}
	l.engine.log.Debug("tocsin: attempt failed", AttrRoute, l.name, AttrEventID, a.Delivery.Event.ID(),
		AttrAttempt, a.Delivery.Attempt, AttrVerdict, a.Verdict.String(), AttrNext, a.Next, AttrError, a.Err)
	l.engine.observers.attempted.tell(a)
	l.protect(b, a.Verdict, gone, since, a.Began, a.Err)
	if out.Action == queue.Dead {
		l.bury(a.Delivery, out.Reason, a.Err)
	}
	return out
}

// protect decides what the failure of an attempt means for the route. since is when the route began to fail; zero when
// this was no failure.
func (l *lane) protect(b *bound, verdict retry.Verdict, gone bool, since, began time.Time, err error) {
	if gone {
		l.disable(b, true, err)
		return
	}
	if verdict == retry.Transient {
		if pause := l.breaker.failed(b.Protect.Breaker, began); pause > 0 {
			l.engine.log.Warn("tocsin: breaker is open", AttrRoute, l.name, AttrPause, pause, AttrError, err)
			l.reconsider()
		}
	} else {
		l.untried(began)
	}
	if b.Protect.DisableAfter <= 0 || since.IsZero() {
		return
	}
	l.mu.Lock()
	counted := since
	if l.pardoned.After(since) {
		counted = l.pardoned
	}
	l.mu.Unlock()
	if time.Since(counted) >= b.Protect.DisableAfter {
		l.disable(b, false, &FailingError{Since: since, Err: err})
	}
}

// disable pauses the lane of a destination that is gone or given up, unless its route was replaced meanwhile.
func (l *lane) disable(b *bound, gone bool, reason error) {
	l.mu.Lock()
	already := l.gone || l.givenUp || l.current.Load() != b
	if !already {
		l.gone, l.givenUp = gone, !gone
		l.setLimit()
	}
	l.mu.Unlock()
	if already {
		return
	}
	if gone {
		l.engine.log.Error("tocsin: destination is gone; its route is paused until SetRoutes", AttrRoute, l.name, AttrError, reason)
	} else {
		l.engine.log.Error("tocsin: route failed for too long; it is paused until SetRoutes", AttrRoute, l.name, AttrError, reason)
	}
	for _, f := range l.engine.observers.disabled {
		f(l.name, reason)
	}
}

// bury reports a delivery as dead.
func (l *lane) bury(d channel.Delivery, reason string, err error) {
	l.record.died.Add(1)
	l.engine.log.Error("tocsin: delivery is dead", AttrRoute, l.name, AttrEventID, d.Event.ID(),
		AttrEventType, string(d.Event.Type()), AttrAttempts, d.Attempt, AttrReason, reason)
	tenant := d.Event.Tenant()
	if b := l.current.Load(); b != nil {
		tenant = b.Tenant
	}
	l.engine.observers.settled.tell(&Settlement{Delivery: d, Tenant: tenant, Result: DeadLetter, Reason: reason, Err: err})
	l.fallBack(d)
}

// dropped is told by a full backlog of a delivery it gave up.
func (l *lane) dropped(j queue.Job) {
	d := channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt, Generation: j.Generation}
	l.bury(d, "dropped: the backlog was full", nil)
}
