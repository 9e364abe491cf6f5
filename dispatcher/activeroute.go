package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/retry"
)

// activeRoute is a route in use, with its defaults filled in and its channel wrapped. A change of routes makes a new
// one; the previous one lasts until its last send has returned.
type activeRoute struct {
	Route
	lane        *lane
	use         *channelUse // of its Channel
	destination *destination
	clock       *clock
	sender      channel.Channel // the channel, wrapped

	deadline    time.Duration // of the retry policy
	hasDeadline bool

	users atomic.Int64  // sends that run, and one for the lane whose current route this is
	idle  chan struct{} // closed once users is zero, which it stays
}

// destination is what is known about where a route sends: how attempts ended, whether more may start, and their pace.
// The routes that follow each other under one RouteID share it while their Channel is the same value.
type destination struct {
	record  record
	breaker breaker
	rate    tokenBucket

	// The lane's mutex guards these.
	gone         bool      // it no longer exists
	autoDisabled bool      // it failed for Protection.DisableAfter
	retried      time.Time // when a change of routes ended that; zero = never
}

// activate wraps the channel of a valid route. A middleware that panics, or returns nil, is a mistake in the route.
func (c *routeErrors) activate(e *Engine) *activeRoute {
	r := newActiveRoute(c.route.withDefaults(), e.clock)
	r.deadline, r.hasDeadline = askPolicy(r.Retry, retry.Deadline)
	r.sender = r.Channel
	for i, mw := range slices.Backward(r.Use) {
		var err error
		if r.sender, err = wrap(r.sender, mw); err != nil {
			c.add(fmt.Sprintf("Use[%d]", i), channel.CodeInvalid, err.Error(), "correct that middleware")
			return nil
		}
	}
	if o := scoped(r.Dedup); o.Window > 0 {
		if o.OnStoreError == nil {
			o.OnStoreError = e.storeFailed(r.ID())
		}
		r.sender = channel.WithDedup(e.dedup, o)(r.sender)
	}
	return r
}

func newActiveRoute(of Route, clock *clock) *activeRoute {
	r := &activeRoute{Route: of, clock: clock, idle: make(chan struct{})}
	r.users.Store(1)
	return r
}

// acquire adds a user, who has to release the route. It returns false when the route is idle.
func (r *activeRoute) acquire() bool {
	for {
		n := r.users.Load()
		if n == 0 {
			return false
		}
		if r.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release takes a user away. The last one of a replaced route lets the Engine forget it.
func (r *activeRoute) release() {
	if r.leave() && r.lane != nil {
		go r.lane.engine.forgetIdle(r)
	}
}

// leave takes a user away and reports whether it was the last one, after which the route is idle.
func (r *activeRoute) leave() bool {
	last := r.users.Add(-1) == 0
	if last {
		close(r.idle)
	}
	return last
}

func wrap(c channel.Channel, mw channel.Middleware) (wrapped channel.Channel, err error) {
	defer func() {
		if recover() != nil {
			wrapped, err = nil, errors.New("panics when it wraps the channel")
		}
	}()
	if wrapped = mw(c); isNil(wrapped) {
		return nil, errors.New("returns nil")
	}
	return wrapped, nil
}

// scoped makes the route's own key function, if it has one, speak for one tenant and route only: routes share a store,
// and what one of them delivered must not be missing at another. An empty key stays empty, which suppresses nothing.
func scoped(o channel.DedupOptions) channel.DedupOptions {
	own := o.Key
	if own == nil {
		return o
	}
	o.Key = func(d channel.Delivery) string {
		key := own(d)
		if key == "" {
			return ""
		}
		return dedup.Key([]byte(d.Event.Tenant()), []byte(d.Route.String()), []byte(key))
	}
	return o
}

// withTimeout returns the context of one attempt.
func (r *activeRoute) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.Timeout > 0 {
		return context.WithTimeout(ctx, r.Timeout)
	}
	return ctx, func() {}
}

// address is what the channel says about where it sends; "" = nothing.
func (r *activeRoute) address() (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if a, ok := r.Channel.(channel.Addressed); ok {
		return a.Destination()
	}
	return ""
}

// refuses says why j must not be attempted at that time; "" = it may be. A job can be of another tenant when it was
// stored by an earlier version, or by somebody else.
func (r *activeRoute) refuses(j *queue.Job, at time.Time) string {
	switch {
	case !r.takes(j.Event.Tenant()):
		return "the event is not of the route's tenant"
	case r.MaxAge > 0 && !j.Enqueued.IsZero() && r.clock.age(j.Enqueued, at) > r.MaxAge:
		return fmt.Sprintf("older than the route's MaxAge of %s", duration.Text(r.MaxAge))
	case r.hasDeadline && !j.FirstTried.IsZero() && r.clock.age(j.FirstTried, at) > r.deadline:
		return fmt.Sprintf("later than the retry policy's end, %s after the first attempt", duration.Text(r.deadline))
	}
	return ""
}

// remaining is how long after the given time another attempt of j may still begin, by MaxAge and by the end of the
// policy, which counts from the first attempt; zero = there was none. Negative = without end.
func (r *activeRoute) remaining(j *queue.Job, first, at time.Time) (byAge, byPolicy time.Duration) {
	byAge, byPolicy = -1, -1
	if r.MaxAge > 0 && !j.Enqueued.IsZero() {
		byAge = max(r.MaxAge-r.clock.age(j.Enqueued, at), 0)
	}
	if r.hasDeadline && !first.IsZero() {
		byPolicy = max(r.deadline-r.clock.age(first, at), 0)
	}
	return byAge, byPolicy
}

// sooner returns the lesser of two durations of which a negative one is without end.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// askPolicy asks a policy what it knows about its end. One that panics knows nothing.
func askPolicy(p retry.Policy, about func(retry.Policy) (time.Duration, bool)) (d time.Duration, ok bool) {
	defer func() {
		if recover() != nil {
			d, ok = 0, false
		}
	}()
	return about(p)
}

// nextPause asks the route's policy. One that panics must not cost the delivery, so the default takes its place.
func (r *activeRoute) nextPause(f retry.Failure) (pause time.Duration, again bool) {
	defer func() {
		if recover() != nil {
			pause, again = retry.Exponential{}.Next(f)
		}
	}()
	return r.Retry.Next(f)
}

// again decides about another attempt after a transient failure: when, or why there is none.
func (r *activeRoute) again(j *queue.Job, a *Attempt, result retry.Result, precision time.Duration) queue.Disposition {
	first, now := j.FirstTried, a.Began.Add(a.Duration)
	if first.IsZero() {
		first = a.Began
	}
	n := a.Delivery.Attempt
	pause, more := r.nextPause(retry.Failure{Attempt: n, Elapsed: r.clock.age(first, now), Err: a.Err})
	byAge, byPolicy := r.remaining(j, first, now)
	out := queue.Disposition{Action: queue.Dead, Began: a.Began}
	switch {
	case !more, byPolicy >= 0 && pause > byPolicy:
		out.Reason = fmt.Sprintf("retries exhausted after attempt %d: %v", n, a.Err)
	case byAge >= 0 && pause > byAge:
		out.Reason = fmt.Sprintf("would be older than the route's MaxAge of %s at attempt %d: %v", duration.Text(r.MaxAge), n+1, a.Err)
	default:
		out.Action, out.Delay = queue.Retry, result.Pause(pause, sooner(byAge, byPolicy), precision)
	}
	return out
}

// throttle is how long the receiver's answer keeps the whole lane waiting; 0 = it does not. It is no longer than the
// delivery that got the answer waits, so that an attempt of it still fits.
func (r *activeRoute) throttle(result retry.Result, out queue.Disposition, precision time.Duration) time.Duration {
	switch {
	case !result.Throttled:
		return 0
	case out.Action == queue.Dead:
		return result.Pause(0, r.MaxAge, precision)
	case result.Delay == 0:
		return out.Delay
	}
	return min(result.Delay, out.Delay)
}

// rests reports whether no attempt may start within that time, or none that a shutdown should wait for because the
// destination is down.
func (r *activeRoute) rests(within time.Duration) bool {
	d := r.destination
	return d.breaker.isOpen() || max(d.breaker.wait(), d.rate.wait(r.Rate)) > within
}
