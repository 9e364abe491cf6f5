package channel

import (
	"context"
	"slices"

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

// WithRetry makes attempts as p says, sleeping in between in the caller's goroutine, and returns the last one's receipt
// and error. It is for channels used without a dispatcher, which reschedules in its queue instead.
func WithRetry(p retry.Policy) Middleware {
	return func(next Channel) Channel {
		return Func(func(ctx context.Context, d Delivery) (Receipt, error) {
			var receipt Receipt
			err := retry.Do(ctx, p, func(ctx context.Context) error {
				var err error
				receipt, err = next.Send(ctx, d)
				if retry.Classify(ctx, err).Verdict != retry.Postponed {
					d.Attempt++
				}
				return err
			})
			return receipt, err
		})
	}
}
