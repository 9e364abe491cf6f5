// Package channel defines how one event reaches one destination: the [Channel] contract, the [Delivery] it is given,
// the [Receipt] it returns, and [Middleware] around it.
//
// A Channel makes one attempt and says what its failure means in the words of package retry. Everything else (when to
// try again, what to suppress, how many at once) is composed around it: by a dispatcher, or in process by [WithRetry]
// and [WithDedup].
package channel

import (
	"context"
	"errors"
)

// Channel delivers events to one destination.
type Channel interface {
	// Send makes one attempt. It does not retry: it marks errors with retry.Permanent, retry.Throttle (the destination
	// as a whole asks for a pause), retry.Delay or retry.Postpone and leaves the rest unmarked (transient); an error
	// that is ErrGone says that the destination no longer exists. When a credential is refused it calls
	// secret.Value.Expire and returns a transient error: the credential may have been rotated.
	//
	// Send is called from many goroutines at once. It must not modify or retain d or the bytes of its event, and
	// returns soon after ctx is done. Its errors hold no credential, no secret URL and no full response body. The
	// Receipt is valid after an error too, as far as the exchange went. The same Delivery.ID may come again: delivery
	// is at least once.
	Send(ctx context.Context, d Delivery) (Receipt, error)
}

// Func makes a Channel of a function with Send's contract.
type Func func(ctx context.Context, d Delivery) (Receipt, error)

var _ Channel = Func(nil)

// Send calls f.
func (f Func) Send(ctx context.Context, d Delivery) (Receipt, error) { return f(ctx, d) }

// Checker is implemented by channels that can tell whether their relay or endpoint would accept a delivery now, without
// sending one. Check returns nil, or the reason in the relay's words with the rules of Send's errors. Safe for
// concurrent use.
type Checker interface {
	Check(ctx context.Context) error
}

// Addressed is implemented by channels that can say where they send, for people to read in a list of routes, with the
// rules of Send's errors: "https://hooks.example", never its path. It is quick and safe for concurrent use.
type Addressed interface {
	Destination() string
}

// ErrGone says that a destination no longer exists and that no later attempt can succeed until somebody changes the
// configuration: HTTP 410, a deleted Slack channel. Channels wrap it: retry.Permanent(fmt.Errorf("…: %w", ErrGone)).
var ErrGone = errors.New("destination is gone")
