package channel

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// Delivery is one attempt to give one event to one route.
type Delivery struct {
	Event event.Event `json:"event"`
	Route RouteID     `json:"route"`
	// Attempt is 1 for the first, 2 for the first retry and so on. Postponed attempts are not counted.
	Attempt int `json:"attempt"`
	// Generation is 0, or another number for each time somebody delivered the event to the route again on purpose.
	// Such a delivery is never suppressed as a duplicate.
	Generation int64 `json:"generation,omitempty"`
}

// ID identifies the pair of event and route: the same for all attempts and generations, so receivers use it as the
// idempotency key (webhook-id). It is the event's id, "_" and 16 hexadecimal digits derived from Route.String(); at
// most 117 characters, none of them a dot.
func (d Delivery) ID() string {
	var name, id [128]byte
	route := sha256.Sum256(d.Route.appendTo(name[:0]))
	b := append(id[:0], d.Event.ID()...)
	b = append(b, '_')
	return string(hex.AppendEncode(b, route[:8]))
}

// Receipt is what is known of an exchange with a destination, also after an error. The zero Receipt is valid. It holds
// no secret: channels redact before they return it. It and what it points to are not modified after Send returned.
type Receipt struct {
	// ProviderID is the destination's own id for what it took, such as an SNS message id.
	ProviderID string        `json:"provider_id,omitempty"`
	Status     int           `json:"status,omitempty"` // HTTP status or SMTP reply code; 0 = there was no answer
	Duration   time.Duration `json:"duration"`         // of the exchange; in JSON in nanoseconds
	// Request is what was sent, or was to be sent, as far as it was made, redacted; nil = it is not kept.
	Request *Message `json:"request,omitempty"`
	// Response is what came back, redacted and capped; nil = nothing came or it is not kept.
	Response *Message `json:"response,omitempty"`
	// OutcomeUnknown says that the destination may have acted although no answer came, for example because the
	// connection broke after the request was written. A retry may then repeat it.
	OutcomeUnknown bool `json:"outcome_unknown,omitempty"`
	// Skipped says that nothing was sent: an identical delivery was made within the dedup window.
	Skipped bool `json:"skipped,omitempty"`
}
