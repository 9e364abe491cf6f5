package channel

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// Delivery is one attempt to give one event to one route.
type Delivery struct {
	Event event.Event
	Route RouteID
	// Attempt is 1 for the first, 2 for the first retry and so on. Postponed attempts are not counted.
	Attempt int
	// Generation is 0, or another number for each time somebody delivered the event to the route again on purpose.
	// Such a delivery is never suppressed as a duplicate.
	Generation int64
}

// ID identifies the pair of event and route: the same for all attempts and generations, so receivers use it as the
// idempotency key (webhook-id). It is the event's id, "_" and 16 hexadecimal digits derived from Route.String(); at most
// 117 characters, none of them a dot.
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
	ProviderID string        // the destination's own id for what it took, such as an SNS message id
	Status     int           // HTTP status or SMTP reply code; 0 = there was no answer
	Duration   time.Duration // of the exchange
	Request    *Message      // what was sent, or was to be sent, as far as it was made, redacted; nil = it is not kept
	Response   *Message      // what came back, redacted and capped; nil = nothing came or it is not kept
	// OutcomeUnknown says that the destination may have acted although no answer came, for example because the
	// connection broke after the request was written. A retry may then repeat it.
	OutcomeUnknown bool
	Skipped        bool // nothing was sent: an identical delivery was made within the dedup window
}

// Message is one direction of an exchange, redacted. In JSON the body is base64: it need not be text.
type Message struct {
	Start     string      `json:"start"`               // request line or status line, e.g. "POST https://hooks.example" or "200 OK"
	Header    http.Header `json:"header,omitempty"`    // nil = none kept
	Body      []byte      `json:"body,omitempty"`      // capped, decoded from any Content-Encoding in Header; must not be modified, it may share memory with the event
	Truncated bool        `json:"truncated,omitempty"` // Body is only the beginning
}
