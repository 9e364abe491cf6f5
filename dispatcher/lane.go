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

// pacePause is the longest pause that counts as pace: a shutdown without a deadline waits for it, again and again.
const pacePause = 10 * time.Second

// paceSlack is what the queue may add to such a pause: it begins once the outcome is stored, by the queue's clock.
const paceSlack = time.Second

// lane makes a route's attempts. It lasts as long as the route's name; each attempt uses the route of that moment.
type lane struct {
	name    string
	engine  *Engine
	current atomic.Pointer[bound] // nil = the route was removed

	mu           sync.Mutex // guards the fields below, and changes of current
	queue        queue.Lane // nil before Run
	gone         bool       // the destination of the current route is
	givenUp      bool       // it failed for Protection.DisableAfter
	retriedSince time.Time  // when SetRoutes gave it another chance after that; zero = never
	paced        time.Time  // by when the latest delivery that was postponed for a short time is due
	waiting      map[attemptKey]*death
}

// install makes b the lane's route. It returns the previous one, if any, which is retired.
func (l *lane) install(b *bound) *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	previous := l.current.Load()
	if previous != nil && previous.Tenant == b.Tenant {
		b.dest = previous.dest
		if l.givenUp {
			l.retriedSince = time.Now()
		}
	} else {
		b.dest, l.retriedSince = new(destination), time.Time{}
	}
	l.gone, l.givenUp = false, false
	b.dest.hold.retry(b.Protect.Breaker)
	l.current.Store(b)
	if previous != nil {
		previous.retire()
	}
	l.engine.queue.Bound(l.name, queue.Bound{
		Jobs: b.Backlog.Jobs, DropOldest: b.Backlog.Overflow == DropOldest, Keep: isBreakGlass, Dropped: l.dropped,
	})
	l.setLimit()
	return previous
}

// remove takes the route away, if it is still there, and returns it retired; the lane holds what it has.
func (l *lane) remove() *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	previous := l.current.Swap(nil)
	if previous == nil {
		return nil
	}
	previous.retire()
	l.setLimit()
	return previous
}

func isBreakGlass(e event.Event) bool { return e.Type() == event.TypeRequestBreakGlass }

// open starts serving the lane. Called with engine.admin held.
func (l *lane) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Through pointers, because each copy of a job and an outcome is measurable.
	handle := func(ctx context.Context, j queue.Job) (out queue.Disposition) {
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
		paced := l.pacedUntil()
		if err := q.Drain(ctx, paced); err != nil || !l.pacedUntil().After(paced) {
			return err
		}
	}
}

func (l *lane) pacedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paced
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
	if l.engine.accept.isClosed() && b.rests(l.engine.patience()) {
		return 0
	}
	if b.Order == Strict {
		return 1 // also for a queue that orders whole lanes only
	}
	return b.Concurrency
}

// rests reports whether no attempt may start within that time, or none that a shutdown should wait for because the
// destination is down.
func (b *bound) rests(patience time.Duration) bool {
	return !b.dest.hold.openUntil().IsZero() || max(b.dest.hold.wait(), b.dest.pace.wait(b.Rate)) > patience
}

// admit lets an attempt start, or says how long none may: the lane's one answer to the breaker, to a receiver that
// asked for quiet, and to the rate.
func (l *lane) admit() time.Duration {
	b := l.current.Load()
	if b == nil {
		return 0
	}
	if wait := b.dest.hold.wait(); wait > 0 {
		return wait
	}
	if wait := b.dest.pace.admit(b.Rate); wait > 0 {
		return wait
	}
	b.dest.hold.begin(b.Timeout)
	return 0
}

// handle runs one job: the queue's handler.
func (l *lane) handle(ctx context.Context, j *queue.Job, out *queue.Disposition) {
	var a Attempt
	a.Context, a.Began = ctx, l.engine.clock.now()
	if l.engine.accept.isClosed() {
		defer l.reconsider() // the next one may have to wait for longer than the shutdown does
	}
	b := acquire(&l.current)
	if b == nil { // removed since the job was taken
		out.Action = queue.Postpone
		return
	}
	defer b.release()
	if b.State != Enabled { // since the job was taken
		l.untried(b, a.Began)
		out.Action = queue.Postpone
		return
	}
	a.Tenant = b.Tenant
	a.Delivery = channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt + 1, Generation: j.Generation}
	if d := l.waitingDeath(b, j); d != nil {
		l.untried(b, a.Began)
		*out = l.die(b, d)
		return
	}
	if reason := b.refuses(j, a.Began); reason != "" {
		a.Delivery.Attempt = j.Attempt
		l.untried(b, a.Began)
		*out = l.die(b, &death{delivery: a.Delivery, reason: reason})
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

// untried tells the lane's hold that the attempt which began then says nothing about the destination.
func (l *lane) untried(b *bound, began time.Time) {
	if b.dest.hold.untried(began) {
		l.reconsider()
	}
}

func (l *lane) delivered(b *bound, a *Attempt) {
	a.Outcome = Delivered
	if a.Receipt.Skipped {
		a.Outcome = Skipped
	}
	o := &l.engine.observers
	weight := b.dest.record.success(a.Began, a.Receipt.Skipped)
	if weight > 0 || len(o.attempted.all) > 0 {
		a.Duration = time.Since(a.Began)
	}
	if weight > 0 {
		b.dest.record.took.add(a.Duration, a.Began, weight)
	}
	if a.Receipt.Skipped {
		l.untried(b, a.Began)
	} else if closed, freed := b.dest.hold.succeeded(a.Began); freed {
		if closed {
			l.engine.log.Info("tocsin: breaker closed", AttrRoute, l.name)
		}
		l.reconsider()
	}
	o.attempted.notify(a)
	if len(o.settled.all) > 0 {
		o.settled.notify(&Settlement{Delivery: a.Delivery, Tenant: a.Tenant, Outcome: a.Outcome})
	}
}

// failed decides what becomes of a delivery whose attempt failed.
func (l *lane) failed(ctx context.Context, b *bound, j *queue.Job, a *Attempt) queue.Disposition {
	a.Duration = time.Since(a.Began)
	now := a.Began.Add(a.Duration)
	result := retry.Classify(ctx, a.Err)
	a.Outcome, a.Verdict = Failed, result.Verdict
	if result.Verdict == retry.VerdictPostponed {
		a.Outcome = Postponed
	}
	if result.Throttled {
		result.Delay = min(result.Delay, maxQuiet)
	}
	out := queue.Disposition{Action: queue.Dead, Began: a.Began}
	gone := errors.Is(a.Err, channel.ErrGone) && result.Verdict != retry.VerdictPostponed
	switch {
	case gone:
		// The delivery waits with the others of its lane until somebody corrects the configuration.
		out.Action = queue.Postpone
	case result.Verdict == retry.VerdictPostponed:
		out.Action, out.Delay = queue.Postpone, result.Pause(0, sooner(b.remaining(j, j.FirstTried, now)), l.engine.precision)
		if ctx.Err() == nil {
			out.Delay = max(out.Delay, leastPostpone)
			l.notePace(now, out.Delay)
		}
	case result.Verdict == retry.VerdictPermanent:
		out.Reason = fmt.Sprintf("permanent failure: %v", a.Err)
	default:
		out.Action, out.Delay, out.Reason = b.again(j, a, result, now, l.engine.precision)
	}
	a.Next = out.Delay
	var failing time.Time
	if result.Verdict != retry.VerdictPostponed {
		failing = b.dest.record.failure(a.Began, a.Duration, a.Verdict, a.Err)
	}
	l.engine.log.Debug("tocsin: attempt failed", AttrRoute, l.name, AttrEventID, a.Delivery.Event.ID(),
		AttrAttempt, a.Delivery.Attempt, AttrVerdict, a.Verdict.String(), AttrNext, a.Next, AttrError, a.Err)
	l.engine.observers.attempted.notify(a)
	switch {
	case gone:
		l.disable(b, true, a.Err)
	case result.Verdict == retry.VerdictTransient:
		l.holdBack(b, a, b.quiet(result, out, l.engine.precision))
	default:
		l.untried(b, a.Began)
	}
	if !gone {
		l.disableAfter(b, failing, a.Err)
	}
	if out.Action == queue.Dead {
		return l.die(b, &death{delivery: a.Delivery, reason: out.Reason, err: a.Err, began: a.Began})
	}
	return out
}

// again decides about another attempt after a transient failure: when, or why there is none.
func (b *bound) again(
	j *queue.Job, a *Attempt, result retry.Result, now time.Time, precision time.Duration,
) (action queue.Action, delay time.Duration, reason string) {
	first := j.FirstTried
	if first.IsZero() {
		first = a.Began
	}
	attempt := a.Delivery.Attempt
	pause, more := b.next(retry.Failure{Attempt: attempt, Elapsed: b.clock.age(first, now), Err: a.Err})
	byAge, byPolicy := b.remaining(j, first, now)
	switch {
	case !more, byPolicy >= 0 && pause > byPolicy:
		return queue.Dead, 0, fmt.Sprintf("gave up after attempt %d: %v", attempt, a.Err)
	case byAge >= 0 && pause > byAge:
		return queue.Dead, 0, fmt.Sprintf("would be older than the route's MaxAge of %v at attempt %d: %v", b.MaxAge, attempt+1, a.Err)
	}
	return queue.Retry, result.Pause(pause, sooner(byAge, byPolicy), precision), ""
}

// quiet is how long the receiver's answer keeps the whole lane; 0 = it does not. It is no longer than the delivery that
// got the answer waits, so that an attempt of it still fits.
func (b *bound) quiet(result retry.Result, out queue.Disposition, precision time.Duration) time.Duration {
	switch {
	case !result.Throttled:
		return 0
	case out.Action == queue.Dead:
		return result.Pause(0, b.MaxAge, precision)
	case result.Delay == 0:
		return out.Delay
	}
	return min(result.Delay, out.Delay)
}

// notePace notes by when a delivery that was postponed is due.
func (l *lane) notePace(now time.Time, delay time.Duration) {
	if delay > pacePause {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paced = latest(l.paced, now.Add(delay+paceSlack))
}

// holdBack reports a transient failure, after which the receiver wants quiet for that long, to the lane's hold.
func (l *lane) holdBack(b *bound, a *Attempt, quiet time.Duration) {
	key := attemptKey{a.Delivery.Event.ID(), a.Delivery.Generation}
	pause, changed := b.dest.hold.failed(b.Protect.Breaker, key, a.Began, quiet)
	if pause > 0 {
		l.engine.log.Warn("tocsin: breaker is open", AttrRoute, l.name, AttrPause, pause, AttrError, a.Err)
	}
	if changed {
		l.reconsider()
	}
}

// disableAfter pauses the lane if its destination has been failing for too long; zero = it is not known to fail.
func (l *lane) disableAfter(b *bound, failing time.Time, err error) {
	if b.Protect.DisableAfter <= 0 || failing.IsZero() {
		return
	}
	l.mu.Lock()
	counted := latest(failing, l.retriedSince)
	l.mu.Unlock()
	if time.Since(counted) >= b.Protect.DisableAfter {
		l.disable(b, false, &FailingError{Since: failing, Err: err})
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
	l.engine.observers.disabled.notify(&Disablement{Route: l.name, Tenant: b.Tenant, Reason: reason})
}
