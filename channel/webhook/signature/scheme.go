// Package signature makes and checks the signatures by which a receiver of webhooks knows who sent a request and that
// nobody changed it, in the styles of Standard Webhooks, GitHub, Stripe and Slack. All are HMAC-SHA256.
//
// A signature covers the bytes of a body, whatever they are: forms and plain text too. But libraries of Standard
// Webhooks that return the parsed JSON of what they have checked refuse bodies that are no JSON; receivers of those
// need a [Verifier] or a library that only checks.
//
// Senders need it through webhook.Sign only. A receiver written in Go makes a [Verifier] and asks it before it believes
// anything in the request. The package imports nothing beyond the standard library.
package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
)

// Scheme is a style of signatures.
type Scheme uint8

// The schemes. Each is named after the specification or product whose receivers expect it.
const (
	// Standard is version 1 of https://www.standardwebhooks.com: "id.timestamp.body", in webhook-signature beside
	// webhook-id and webhook-timestamp. It is the one to choose where there is a choice.
	Standard Scheme = iota + 1
	// GitHub is the body alone, in X-Hub-Signature-256: a recorded request can be sent again forever. See
	// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
	GitHub
	// Stripe is "timestamp.body", in Stripe-Signature together with the timestamp. See
	// https://docs.stripe.com/webhooks#verify-manually.
	Stripe
	// Slack is "v0:timestamp:body", in X-Slack-Signature beside X-Slack-Request-Timestamp. See
	// https://docs.slack.dev/authentication/verifying-requests-from-slack.
	Slack
)

// The header names, canonical.
const (
	idHeader             = "Webhook-Id"
	standardTimeHeader   = "Webhook-Timestamp"
	standardHeader       = "Webhook-Signature"
	gitHubHeader         = "X-Hub-Signature-256"
	stripeHeader         = "Stripe-Signature"
	slackTimestampHeader = "X-Slack-Request-Timestamp"
	slackHeader          = "X-Slack-Signature"
)

// String returns the scheme's name.
func (s Scheme) String() string {
	switch s {
	case Standard:
		return "Standard Webhooks"
	case GitHub:
		return "GitHub"
	case Stripe:
		return "Stripe"
	case Slack:
		return "Slack"
	}
	return "Scheme(" + strconv.Itoa(int(s)) + ")"
}

// IsValid reports whether s is one of the constants.
func (s Scheme) IsValid() bool { return s >= Standard && s <= Slack }

// Rotates reports whether a request can carry the signatures of several keys, as it has to while receivers change from
// one to the next.
func (s Scheme) Rotates() bool { return s == Standard || s == Stripe }

// Headers returns the canonical names of the headers for the timestamp, "" for none of its own, and for the signatures.
func (s Scheme) Headers() (timestamp, signatures string) {
	switch s {
	case Standard:
		return standardTimeHeader, standardHeader
	case GitHub:
		return "", gitHubHeader
	case Stripe:
		return "", stripeHeader
	case Slack:
		return slackTimestampHeader, slackHeader
	}
	return "", ""
}

// appendHead appends what is signed before the body.
func (s Scheme) appendHead(b []byte, id, timestamp string) []byte {
	switch s {
	case Standard:
		b = append(append(b, id...), '.')
		b = append(append(b, timestamp...), '.')
	case Stripe:
		b = append(append(b, timestamp...), '.')
	case Slack:
		b = append(b, "v0:"...)
		b = append(append(b, timestamp...), ':')
	case GitHub:
	}
	return b
}

// form is how signatures stand in their header.
func (s Scheme) form() (prefix, separator string) {
	switch s {
	case Standard:
		return "v1,", " "
	case GitHub:
		return "sha256=", ""
	case Stripe:
		return "v1=", ","
	case Slack:
		return "v0=", ""
	}
	return "", ""
}

// appendSum appends a signature as the header has it; first says that it is the header's first.
func (s Scheme) appendSum(b []byte, timestamp string, sum []byte, first bool) []byte {
	prefix, separator := s.form()
	if s == Stripe && first {
		b = append(append(b, "t="...), timestamp...)
	}
	if s == Stripe || !first {
		b = append(b, separator...)
	}
	b = append(b, prefix...)
	if s == Standard {
		return base64.StdEncoding.AppendEncode(b, sum)
	}
	return hex.AppendEncode(b, sum)
}

// decodeSum reads the text of one signature, without its prefix.
func (s Scheme) decodeSum(text string) (sum [sha256.Size]byte, ok bool) {
	decode := hex.DecodeString
	if s == Standard {
		decode = base64.StdEncoding.Strict().DecodeString
	}
	decoded, err := decode(text)
	return sum, err == nil && len(decoded) == len(sum) && copy(sum[:], decoded) == len(sum)
}

// Sign returns the values of the scheme's headers for a request, see [Scheme.Headers]: the timestamp, and a signature
// by each key, in their order. id is that of the webhook-id header; the schemes besides Standard ignore it. at counts
// in whole seconds. body is signed byte for byte. The keys must have been made for s, at least one, and at most one
// unless s rotates.
func (s Scheme) Sign(id string, at time.Time, body []byte, keys ...*Key) (timestamp, signatures string) {
	timestamp = strconv.FormatInt(at.Unix(), 10)
	var room [160]byte // for three keys
	value := room[:0]
	for i, k := range keys {
		state := k.borrow()
		value = s.appendSum(value, timestamp, state.compute(s, id, timestamp, body), i == 0)
		k.giveBack(state)
	}
	return timestamp, string(value)
}
