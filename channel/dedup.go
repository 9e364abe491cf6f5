package channel

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// dedupPause is when to ask again: most deliveries in flight are over long before their lease ends, and a store that
// fails may be back.
const dedupPause = time.Second

// DedupOptions say what counts as a duplicate. The zero value suppresses nothing. Test events (event.Event.IsTest) are
// no duplicates, and nothing is a duplicate of one.
type DedupOptions struct {
	// Window is how long after a successful delivery an identical one is suppressed; 0 = never. Two hours is a good
	// value for access requests. Not for joins and leaves: join, leave, join again is not a duplicate.
	Window time.Duration
	// Lease is how long one attempt may take before another worker may make it; 0 = 5 s more than is left of the
	// attempt's deadline, or 5 minutes without one.
	Lease time.Duration
	// Key names what must not be repeated; nil = DedupKey. A delivery with the key "" is never suppressed.
	Key func(Delivery) string
	// BreakGlass also suppresses repeated request.break_glass events, which are otherwise always delivered.
	BreakGlass bool
	// FailClosed postpones a delivery while the store fails; the default is to deliver, perhaps twice.
	FailClosed bool
	// OnStoreError is notified of each failure of the store that did not become a delivery's error; nil = nobody. It is
	// called from many goroutines at once and returns quickly. A dispatcher logs them unless it is set.
	OnStoreError func(*dedup.StoreError)
}

func (o DedupOptions) lease(ctx context.Context) time.Duration {
	if o.Lease > 0 {
		return o.Lease
	}
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Until(deadline), 0) + 5*time.Second
	}
	return 5 * time.Minute
}

// DedupKey is the default key: a 256-bit hash of tenant, route, type, subject and encoded data, but not of the event's
// id or time.
func DedupKey(d Delivery) string {
	e := d.Event
	return dedup.Key([]byte(e.Tenant()), []byte(d.Route.String()), []byte(e.Type()), []byte(e.Subject()), e.Data())
}

// WithDedup suppresses a delivery when an identical one succeeded within the window: it returns a receipt with Skipped
// set and no error. While an identical one is in flight elsewhere, the delivery is postponed by up to a second. A
// failed delivery never suppresses a later one, and a redelivery on purpose (Generation not 0) is never suppressed. It
// belongs inside WithRetry: a claim covers one attempt, not the pauses between them.
func WithDedup(s dedup.Store, o DedupOptions) Middleware {
	if o.Key == nil {
		o.Key = DedupKey
	}
	return func(next Channel) Channel {
		return Func(func(ctx context.Context, d Delivery) (Receipt, error) {
			exempt := d.Event.Type() == event.TypeRequestBreakGlass && !o.BreakGlass
			if o.Window <= 0 || d.Generation != 0 || exempt || d.Event.IsTest() {
				return next.Send(ctx, d)
			}
			key := o.Key(d)
			if key == "" {
				return next.Send(ctx, d)
			}
			var receipt Receipt
			skipped, err := dedup.Once(ctx, s, key, dedup.Options{
				Window: o.Window, Lease: o.lease(ctx), FailClosed: o.FailClosed, OnStoreError: o.OnStoreError,
			}, func(ctx context.Context) error {
				var err error
				receipt, err = next.Send(ctx, d)
				return err
			})
			if skipped {
				return Receipt{Skipped: true}, nil
			}
			if busy, ok := errors.AsType[*dedup.InFlightError](err); ok {
				return receipt, retry.Postpone(err, min(busy.Remaining, dedupPause))
			}
			if _, ok := errors.AsType[*dedup.StoreError](err); ok { // FailClosed, or ctx is done: nothing was sent
				return receipt, retry.Postpone(err, dedupPause)
			}
			return receipt, err
		})
	}
}
