package webhook

import "github.com/tocsin-go/tocsin/channel/netguard"

// Kind says how an attempt failed: one of the kinds of package netguard, or one of those below. New kinds may be added.
type Kind = netguard.Kind

// The kinds of a webhook's own. KindNoEvent, KindRender and KindTooLarge are permanent, and nothing was sent.
// KindSecret and KindRenderTimeout and KindUnreadable are worth another attempt, and KindStatus, KindRedirect and
// KindRefused are what [Config].Verdicts or Interpret say.
const (
	KindNoEvent       Kind = "no_event"       // the Delivery has no event
	KindRender        Kind = "render"         // the request cannot be made from this event
	KindRenderTimeout Kind = "render_timeout" // … in time
	KindTooLarge      Kind = "too_large"      // the request's body is larger than Config.MaxBody
	KindSecret        Kind = "secret"         // a credential cannot be read or used; the error names where it comes from
	KindStatus        Kind = "status"         // the receiver answered with a status that is not a success
	KindRedirect      Kind = "redirect"       // the same with a 3xx, which is not followed
	KindRefused       Kind = "refused"        // the same with a success's status, but Config.Interpret reads a refusal
	KindUnreadable    Kind = "unreadable"     // a success's status, with a body that Interpret needs and that cannot be decoded
)

// text describes a kind that has neither a status nor an error of package netguard.
func text(k Kind) string {
	switch k {
	case KindNoEvent:
		return "there is no event to send"
	case KindRender:
		return "the request cannot be made from the event"
	case KindRenderTimeout:
		return "timeout while making the request"
	case KindTooLarge:
		return "the body is larger than MaxBody allows, nothing was sent"
	case KindUnreadable:
		return "the answer cannot be decoded"
	case KindSecret:
		return "a credential is not available"
	default:
		return string(k)
	}
}
