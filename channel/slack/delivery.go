package slack

import (
	"context"
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

// send posts what the composer makes, and the built-in message when Slack does not take what its template makes: no
// data of an event may keep it from being posted.
func (c composer) send(ctx context.Context, d channel.Delivery, method *webhook.Channel, body func(composer) webhook.Body) (channel.Receipt, error) {
	r, err := method.SendWith(ctx, d, body(c))
	if c.template == nil || !refusesContent(reasonOf(err)) {
		return r, err
	}
	c.logger.WarnContext(ctx, "slack does not take what the template makes", "route", d.Route, "event", d.Event.ID(), "reason", reasonOf(err))
	before := r.Duration
	r, err = method.SendWith(ctx, d, body(c.builtIn()))
	r.Duration += before
	return r, err
}

// reasonOf is Slack's word for an error; "" = there is none.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*webhook.Error](err); ok {
		return e.Reason
	}
	return ""
}
