package channel

import (
	"net/http"
	"time"
)

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
