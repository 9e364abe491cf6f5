package preset

import (
	"encoding/json"
	"strings"

	"github.com/tocsin-go/tocsin/channel/webhook"
)

// answered decodes an answer's body. What is not JSON of that form, for example a proxy's page, gives the zero T.
func answered[T any](a webhook.Answer) T {
	var v T
	if json.Unmarshal(a.Body, &v) != nil {
		var none T
		return none
	}
	return v
}

// name keeps s as a reason when it is a name or a code. Sentences are dropped: they may quote the event.
func name(s string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]"
	if len(s) > 60 || strings.Trim(s, allowed) != "" {
		return ""
	}
	return s
}

// maybeDone tells whether a status leaves open what the receiver did: it, or somebody before it, failed in the middle.
// For a receiver without idempotency keys a retry may then repeat what was done.
func maybeDone(status int) bool { return status >= 500 && status != 503 }
