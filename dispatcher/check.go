package dispatcher

import (
	"context"
	"errors"

	"github.com/tocsin-go/tocsin/channel"
)

// ErrUncheckable is returned by Check for a channel that cannot tell without sending.
var ErrUncheckable = errors.New("the route's channel cannot be asked without sending")

// Check asks the channel of a route whether its relay or endpoint would accept a delivery now (channel.Checker), within
// the route's Timeout and whatever its State: nil, or the reason in the relay's words. ErrUncheckable if the channel
// cannot tell, a *RouteError if there is no such route. It changes nothing: neither the status nor the breaker.
func (e *Engine) Check(ctx context.Context, route string) error {
	b := e.index.Load().named[route]
	if b != nil {
		b = acquire(&b.lane.current) // so that SetRoutes waits before the channel is closed
	}
	if b == nil {
		return &RouteError{Route: route, Problem: "does not exist"}
	}
	defer b.release()
	checker, ok := b.Channel.(channel.Checker)
	if !ok {
		return ErrUncheckable
	}
	ask := channel.Func(func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, checker.Check(ctx)
	})
	ctx, cancel := b.limited(ctx)
	defer cancel()
	_, err := channel.Recover(ask).Send(ctx, channel.Delivery{})
	return err
}
