package sns

import "github.com/tocsin-go/tocsin/channel/netguard"

// Kind says how an attempt failed: one of the kinds of package netguard, or one of those below. New kinds may be added.
type Kind = netguard.Kind

// The kinds of this package's own. KindNoEvent and KindRender are permanent, and nothing was sent. KindSecret,
// KindRenderTimeout and KindRedirect are worth another attempt. What KindRefused means depends on the error code, see
// [Channel.Send].
const (
	KindNoEvent       Kind = "no_event"       // the Delivery has no event
	KindRender        Kind = "render"         // a template cannot make its part from this test event
	KindRenderTimeout Kind = "render_timeout" // … in time
	KindSecret        Kind = "secret"         // there are no credentials to sign with
	KindRefused       Kind = "refused"        // SNS answered with an error
	KindRedirect      Kind = "redirect"       // the answer is a 3xx, which is not followed
)

// text describes a kind that has neither a status nor an error of package netguard.
func text(k Kind) string {
	switch k {
	case KindNoEvent:
		return "there is no event to publish"
	case KindRender:
		return "the message cannot be made from the event"
	case KindRenderTimeout:
		return "timeout while making the message"
	case KindSecret:
		return "there are no credentials to sign with"
	case netguard.KindRequest:
		return "the request cannot be made"
	case netguard.KindProtocol:
		return "the answer is not one of SNS"
	default:
		return string(k)
	}
}
