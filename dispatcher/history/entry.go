package history

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Entry is one line of a route's history: an attempt, or that a delivery is dead. One that fails three times and
// becomes dead has four. Its JSON form is stable: fields are only added. encoding/json rewrites the event in it
// (event.Event's MarshalJSON), so a store keeps Event.JSON beside it, or what is delivered again is not what was.
//
// The Event of a test says so (event.Event.IsTest).
//
// It holds the event and both messages, so it is as confidential as the events are. It holds no credential: channels
// redact, and Error is what their errors print.
type Entry struct {
	Seq      int64         `json:"seq"`      // given by the store: from 1, increasing in the order of Append, never used twice
	Time     time.Time     `json:"time"`     // when the attempt began, or the delivery became dead
	Duration time.Duration `json:"duration"` // of the attempt, in nanoseconds
	// Route is in the JSON form as the fields tenant and route. Its Tenant is whose entry it is. The event's own tenant
	// is in Event; for a route of AnyTenant it may be any, and the entry is the platform's all the same.
	Route      dispatcher.RouteID `json:"-"`
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

// plainEntry is an Entry without its methods.
type plainEntry Entry

// entryJSON is the JSON form of an Entry.
type entryJSON struct {
	plainEntry

	Tenant string `json:"tenant"` // of the route
	Route  string `json:"route"`  // its name
}

// MarshalJSON implements json.Marshaler.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(entryJSON{plainEntry(e), e.Route.Tenant, e.Route.Name})
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Entry) UnmarshalJSON(text []byte) error {
	form := entryJSON{plainEntry(*e), e.Route.Tenant, e.Route.Name}
	err := json.Unmarshal(text, &form)
	*e = Entry(form.plainEntry)
	e.Route = dispatcher.RouteID{Tenant: form.Tenant, Name: form.Route}
	return err
}

// DeliveryID is the idempotency key that the receiver saw (webhook-id).
func (e Entry) DeliveryID() string { return channel.Delivery{Event: e.Event, Route: e.Route}.ID() }

// Size is how many bytes the entry counts for Retention.TenantBytes: those of its event's JSON form, of its messages
// and of its texts. A store that keeps an event once for several entries counts it for each of them.
func (e Entry) Size() int64 {
	n := len(e.Event.JSON()) + len(e.Error) + len(e.Reason) + len(e.ProviderID)
	for _, m := range [...]*channel.Message{e.Request, e.Response} {
		if m == nil {
			continue
		}
		n += len(m.Start) + len(m.Body)
		for name, values := range m.Header {
			n += len(name)
			for _, v := range values {
				n += len(v)
			}
		}
	}
	return int64(n)
}

// redeliverer is a *dispatcher.Engine.
type redeliverer interface {
	Redeliver(ctx context.Context, ev event.Event, routes ...dispatcher.RouteID) error
}

// Redeliver gives the entry's event to the entry's route again, on purpose: with the route as it is now, as a new
// generation of the same delivery. to is the Engine. What Engine.Redeliver refuses is refused here.
func (e Entry) Redeliver(ctx context.Context, to redeliverer) error {
	return to.Redeliver(ctx, e.Event, e.Route)
}
