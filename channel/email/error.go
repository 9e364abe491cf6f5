package email

import (
	"errors"
	"strings"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Error is the error of a failed attempt. It holds nothing of the event: recipients are named by their place in
// [Config]. Of a reply it holds the codes, and its text the relay's words up to MAIL, without credentials; what a relay
// says about a recipient or a message is in the receipt only. errors.As finds the *netguard.Error of a failed exchange,
// the *netguard.BlockedError of a refused destination, the *secret.SourceError of a credential, and the
// *template.RenderError of a KindRender; errors.Is finds channel.ErrGone, netguard.ErrDestinationBlocked,
// context.Canceled and context.DeadlineExceeded where they apply.
type Error struct {
	Kind     Kind
	Stage    Stage     // how far it came; "" = no connection was tried
	Code     int       // of the relay's reply, RFC 5321; 0 = it is not about a reply
	Enhanced string    // the reply's status code by RFC 3463, such as "5.1.1"; may be empty
	Relay    string    // host:port
	Refusals []Refusal // of KindRecipients: who has not got the mail
	detail   string    // safe to show; "" = none
	cause    error     // one of the errors named above
}

// Refusal says that one recipient has not got the mail.
type Refusal struct {
	Recipient string // its place in Config, such as "To[1]"
	Code      int    // of the relay's reply; 0 = what was computed is no address
	Enhanced  string // as in Error
	Temporary bool   // it is tried again, alone
}

func (r Refusal) String() string {
	switch {
	case r.Code == 0:
		return r.Recipient + " is not an address"
	case r.Temporary:
		return r.Recipient + " yet (" + status(r.Code, r.Enhanced) + ")"
	default:
		return r.Recipient + " (" + status(r.Code, r.Enhanced) + ")"
	}
}

// Error returns the relay and what happened, in one line.
func (e *Error) Error() string {
	what := e.what()
	if e.Stage != "" && e.Kind != KindRecipients {
		what = "at " + string(e.Stage) + ": " + what
	}
	if e.detail != "" {
		what += ": " + e.detail
	}
	return "smtp " + e.Relay + ": " + what
}

func (e *Error) what() string {
	n, ok := errors.AsType[*netguard.Error](e.cause)
	switch {
	case ok:
		return n.Error()
	case e.Kind == KindReply:
		return "answered " + status(e.Code, e.Enhanced)
	case e.Kind == KindRecipients:
		refused := make([]string, len(e.Refusals))
		for i, r := range e.Refusals {
			refused[i] = r.String()
		}
		return "not delivered to " + strings.Join(refused, ", ")
	default:
		return text(e.Kind)
	}
}

// Unwrap returns the error that led to e, if it is one of those named above.
func (e *Error) Unwrap() error { return e.cause }
