package channel

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/retry"
)

// Middleware wraps a Channel. Each call returns a new value that keeps Send's contract.
type Middleware func(next Channel) Channel

// Chain wraps c; the first middleware is the outermost. Without middleware it returns c.
func Chain(c Channel, mw ...Middleware) Channel {
	for _, m := range slices.Backward(mw) {
		c = m(c)
	}
	return c
}

// ErrThrottled is the error of a delivery that was not tried, because the destination has asked for a pause
// (retry.Throttle) and the policy or the context did not leave time to wait for the end of that.
var ErrThrottled = errors.New("the destination asks for a pause")

// WithRetry makes attempts as p says, sleeping in between in the caller's goroutine, and returns the last one's receipt
// and error. While the destination asks for a pause (retry.Throttle), the attempts of other deliveries wait as well. It
// is for channels used without a dispatcher, which reschedules in its queue instead.
func WithRetry(p retry.Policy) Middleware {
	return func(next Channel) Channel {
		var throttled atomic.Pointer[time.Time] // until when; nil = not yet
		return Func(func(ctx context.Context, d Delivery) (Receipt, error) {
			var receipt Receipt
			err := retry.Do(ctx, p, func(ctx context.Context) error {
				if until := throttled.Load(); until != nil && time.Now().Before(*until) {
					return retry.Postpone(ErrThrottled, time.Until(*until))
				}
				var err error
				receipt, err = next.Send(ctx, d)
				result := retry.Classify(ctx, err)
				if result.Verdict != retry.VerdictPostponed {
					d.Attempt++
				}
				if result.Throttled {
					until := time.Now().Add(result.Delay)
					throttled.Store(&until)
				}
				return err
			})
			return receipt, err
		})
	}
}
