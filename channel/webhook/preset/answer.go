package preset

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// answered decodes an answer's body. What is not JSON of that form, for example a proxy's page, gives the zero T.
func answered[T any](a webhook.Response) T {
	var v T
	if json.Unmarshal(content(a), &v) != nil {
		var none T
		return none
	}
	return v
}

// content is the body without the byte order mark that some gateways put in front of JSON.
func content(a webhook.Response) []byte { return bytes.TrimPrefix(a.Body, []byte("\ufeff")) }

func isJSON(a webhook.Response) bool { return json.Valid(content(a)) }

// expected makes a success of anybody but the product no success: a page, or nothing, from whoever stands before it. ok
// says that the answer has the product's form. The product may have taken the event all the same.
func expected(r webhook.Reading, ok bool) webhook.Reading {
	if r.Verdict == retry.VerdictSuccess && !ok {
		r.Verdict, r.Reason, r.OutcomeUnknown = retry.VerdictTransient, "unexpected answer", true
	}
	return r
}

// created is expected for products that answer with the id of what they made, and make another one when they are asked
// again. An answer that has lost its body on the way is therefore a success, since 201 is nobody else's.
func created(a webhook.Response, r webhook.Reading) webhook.Reading {
	return expected(r, r.ProviderID != "" || a.Truncated || len(a.Body) == 0)
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
