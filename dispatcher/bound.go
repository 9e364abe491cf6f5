package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// bound is a route with its defaults filled in, its channel wrapped, and a count of the sends that use it. A change of
// routes makes a new one; the old one lasts until its last send has returned.
type bound struct {
	Route
	lane   *lane
	dest   *destination
	clock  *clock
	send   channel.Channel
	limits limits

	deadline time.Duration // of the retry policy, if it has one
	dated    bool

	sending atomic.Int64
	retired atomic.Bool
	once    sync.Once
	idle    chan struct{} // closed when it is retired and nothing sends
}

// newBound wraps the channel of a valid route. A middleware that panics, or returns nil, is a mistake in the route.
func newBound(c *routeErrors, store dedup.Store, clk *clock) *bound {
	r := c.route.withDefaults()
	b := &bound{Route: r, clock: clk, idle: make(chan struct{}), send: r.Channel}
	b.deadline, b.dated = asked(r.Retry, retry.Deadline)
	for i, mw := range slices.Backward(r.Use) {
		problem := ""
		if b.send, problem = wrap(b.send, mw); problem != "" {
			c.add(fmt.Sprintf("Use[%d]", i), channel.CodeInvalid, problem, "correct that middleware")
			return nil
		}
	}
	if r.Dedup.Window > 0 {
		b.send = channel.WithDedup(store, scoped(r.Dedup))(b.send)
	}
	b.send = channel.Recover(b.send)
	return b
}

func wrap(c channel.Channel, mw channel.Middleware) (wrapped channel.Channel, problem string) {
	defer func() {
		if recover() != nil {
			wrapped, problem = nil, "panics when it wraps the channel"
		}
	}()
	if wrapped = mw(c); isNil(wrapped) {
		return nil, "returns nil"
	}
	return wrapped, ""
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
		return dedup.Key([]byte(d.Event.Tenant()), []byte(d.Route), []byte(key))
	}
	return o
}

// isIdle reports whether b was replaced and its last send has returned.
func (b *bound) isIdle() bool {
	select {
	case <-b.idle:
		return true
	default:
		return false
	}
}

// attempt sends with the route's timeout and notes what came of it in a.
func (b *bound) attempt(ctx context.Context, a *Attempt) {
	if b.Timeout > 0 {
		l := b.limits.begin(ctx, b.Timeout, a.Began)
		defer b.limits.end(l)
		ctx = l.ctx
	}
	a.Receipt, a.Err = b.send.Send(ctx, a.Delivery)
}

// limited is the context of something that is done once with the route's timeout.
func (b *bound) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.Timeout > 0 {
		return context.WithTimeout(ctx, b.Timeout)
	}
	return ctx, func() {}
}

// destination is what the channel says about where it sends; "" = nothing.
func (b *bound) destination() (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if a, ok := b.Channel.(channel.Addressed); ok {
		return a.Destination()
	}
	return ""
}

// label is the tenant under which news about e on this route is reported: the route's, or e's own when the route, whose
// name has passed to another tenant while e waited, does not take it.
func (b *bound) label(e event.Event) string {
	if b.takes(e.Tenant()) {
		return b.Tenant
	}
	return e.Tenant()
}

// refuses says why j must not be attempted at that time; "" = it may be. A job can be of another tenant when the name
// of a route has passed to one while it waited.
func (b *bound) refuses(j *queue.Job, at time.Time) string {
	switch {
	case !b.takes(j.Event.Tenant()):
		return "the route is for another tenant now"
	case b.MaxAge > 0 && !j.Enqueued.IsZero() && b.clock.age(j.Enqueued, at) > b.MaxAge:
		return fmt.Sprintf("older than the route's MaxAge of %v", b.MaxAge)
	case b.dated && !j.FirstTried.IsZero() && b.clock.age(j.FirstTried, at) > b.deadline:
		return fmt.Sprintf("later than the retry policy's end, %v after the first attempt", b.deadline)
	}
	return ""
}

// remaining is how long after the given time another attempt of j may still begin, by MaxAge and by the end of the
// policy, which counts from the first attempt; zero = there was none. Negative = without end.
func (b *bound) remaining(j *queue.Job, first, at time.Time) (byAge, byPolicy time.Duration) {
	byAge, byPolicy = -1, -1
	if b.MaxAge > 0 && !j.Enqueued.IsZero() {
		byAge = max(b.MaxAge-b.clock.age(j.Enqueued, at), 0)
	}
	if b.dated && !first.IsZero() {
		byPolicy = max(b.deadline-b.clock.age(first, at), 0)
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

// asked asks the route's policy what it knows about its end. One that panics knows nothing.
func asked(p retry.Policy, about func(retry.Policy) (time.Duration, bool)) (d time.Duration, ok bool) {
	defer func() {
		if recover() != nil {
			d, ok = 0, false
		}
	}()
	return about(p)
}

// next asks the route's policy. One that panics must not cost the delivery, so the default takes its place.
func (b *bound) next(f retry.Failure) (delay time.Duration, again bool) {
	defer func() {
		if recover() != nil {
			delay, again = retry.Exponential{}.Next(f)
		}
	}()
	return b.Retry.Next(f)
}

// acquire returns the current route with a send marked as begun, or nil when there is no route. The second look makes
// sure that whoever replaced the route in between sees the mark.
func acquire(current *atomic.Pointer[bound]) *bound {
	for {
		b := current.Load()
		if b == nil {
			return nil
		}
		b.sending.Add(1)
		if current.Load() == b {
			return b
		}
		b.release()
	}
}

// release ends a send. The count is read again after retired: when it fell to 0 the bound could still be acquired, and
// may have been before it was retired.
func (b *bound) release() {
	if b.sending.Add(-1) == 0 && b.retired.Load() && b.sending.Load() == 0 {
		b.once.Do(func() { close(b.idle) })
	}
}

// retire is called once b can no longer be acquired.
func (b *bound) retire() {
	b.retired.Store(true)
	b.limits.retire()
	if b.sending.Load() == 0 {
		b.once.Do(func() { close(b.idle) })
	}
}
