package history

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Entry is one line of a route's history: an attempt, or that a delivery is dead. One that fails three times and
// becomes dead has four. Its JSON form is stable: fields are only added. encoding/json rewrites the event in it
// (event.Event's MarshalJSON), so a store keeps Event.JSON beside it, or what is delivered again is not what was.
//
// It holds the event and both messages, so it is as confidential as the events are. It holds no credential: channels
// redact, and Error is what their errors print.
type Entry struct {
	Seq      int64         `json:"seq"`      // given by the store: from 1, increasing in the order of Append, never used twice
	Time     time.Time     `json:"time"`     // when the attempt began, or the delivery became dead
	Duration time.Duration `json:"duration"` // of the attempt, in nanoseconds
	// Tenant is the route's: "" for none, dispatcher.AnyTenant for a route of the whole platform. Event may then be of
	// any tenant. Of a delivery that is dead because the route's name had passed to another tenant, it is the event's.
	Tenant     string             `json:"tenant"`
	Route      string             `json:"route"`
	Event      event.Event        `json:"event"`                // its Type is the trigger
	Generation int64              `json:"generation,omitempty"` // not 0 = delivered again on purpose
	Attempt    int                `json:"attempt"`              // 1 for the first; of a dead delivery, the attempts made
	Outcome    dispatcher.Outcome `json:"outcome"`
	Verdict    string             `json:"verdict,omitempty"` // retry.Verdict in words; "" = nothing was attempted
	Error      string             `json:"error,omitempty"`   // "" = none
	Reason     string             `json:"reason,omitempty"`  // why the delivery is dead
	// Next is the pause until the next attempt, in nanoseconds; 0 = at once, or there is none.
	Next           time.Duration    `json:"next,omitempty"`
	Status         int              `json:"status,omitempty"`      // HTTP status or SMTP reply code; 0 = no answer
	ProviderID     string           `json:"provider_id,omitempty"` // the destination's id for what it took
	OutcomeUnknown bool             `json:"outcome_unknown,omitempty"`
	Request        *channel.Message `json:"request,omitempty"`  // redacted and capped; nil = not known. Must not be modified
	Response       *channel.Message `json:"response,omitempty"` // likewise
}

// DeliveryID is the idempotency key that the receiver saw (webhook-id).
func (e Entry) DeliveryID() string { return channel.Delivery{Event: e.Event, Route: e.Route}.ID() }

// redeliverer is a *dispatcher.Engine.
type redeliverer interface {
	Redeliver(ctx context.Context, ev event.Event, routes ...string) error
}

// Redeliver gives the entry's event to the entry's route again, on purpose: with the route as it is now, as a new
// generation of the same delivery. to is the Engine. What Engine.Redeliver refuses is refused here.
func (e Entry) Redeliver(ctx context.Context, to redeliverer) error {
	return to.Redeliver(ctx, e.Event, e.Route)
}
