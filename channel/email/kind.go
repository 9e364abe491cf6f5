package email

import "github.com/tocsin-go/tocsin/channel/netguard"

// Kind says how an attempt failed: one of the kinds of package netguard, or one of those below. New kinds may be added.
type Kind = netguard.Kind

// The kinds of mail's own. Those up to KindTooLarge are permanent; nothing, or not the message, was sent.
const (
	KindNoEvent       Kind = "no_event"       // the Delivery has no event
	KindRender        Kind = "render"         // the mail cannot be made from this event
	KindNoRecipient   Kind = "no_recipient"   // the event names nobody, or no valid address, and nobody else is configured
	KindTooLarge      Kind = "too_large"      // the mail is larger than the relay says it takes
	KindRenderTimeout Kind = "render_timeout" // the mail could not be made in time
	KindSecret        Kind = "secret"         // a credential cannot be read or used; the error names where it comes from
	KindNoAuth        Kind = "no_auth"        // the relay offers no log-in of the kind that is configured
	KindNoTLS         Kind = "no_tls"         // TLS is required and the relay does not offer it
	KindPlaintextAuth Kind = "plaintext_auth" // the log-in would be readable, and was not sent
	KindReply         Kind = "reply"          // the relay said no, see Error.Code; permanent is only 5yz about the message
	KindRecipients    Kind = "recipients"     // not all recipients have the mail, see Error.Refusals
)

// text describes a kind that has neither a reply nor an error of package netguard.
func text(k Kind) string {
	switch k {
	case KindNoEvent:
		return "there is no event to send"
	case KindRender:
		return "the mail cannot be made from the event"
	case KindNoRecipient:
		return "the event names no valid recipient, nothing was sent"
	case KindNoAuth:
		return "the relay offers no log-in that can be used, remove Relay.Auth or choose another"
	case KindTooLarge:
		return "the mail is larger than the relay allows, nothing was sent"
	case KindRenderTimeout:
		return "timeout while making the mail"
	case KindSecret:
		return "a credential is not available"
	case KindNoTLS:
		return "the relay does not offer STARTTLS, nothing was sent"
	case KindPlaintextAuth:
		return "the connection is not encrypted, so that we did not log in"
	default:
		return string(k)
	}
}
