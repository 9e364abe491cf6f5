package webhook

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Error is the error of a failed attempt. It holds nothing of the URL but its origin, and nothing the receiver said but
// its status and Reason. errors.As finds the *netguard.Error of a failed exchange, the *netguard.BlockedError of a
// refused destination, the *secret.SourceError of a credential, and the *template.RenderError or *template.JSONError of
// a KindRender, whose text names the field of [Config] and the line and column in its template, never the event's data;
// errors.Is finds channel.ErrGone, netguard.ErrDestinationBlocked, context.Canceled and context.DeadlineExceeded where
// they apply. The network's own error, which may quote the URL, cannot be reached.
type Error struct {
	Kind   Kind
	Status int    // of the answer; 0 = there was none
	Method string // of the request
	Origin string // scheme://host or scheme://host:port
	Reason string // the receiver's own code, as Config.Interpret read it; "" = none

	detail string // fixed words or the text of cause; "" = none
	cause  error  // one of the errors named above
}

// Error returns method, origin and what happened, in one line.
func (e *Error) Error() string {
	if n, ok := errors.AsType[*netguard.Error](e.cause); ok {
		return n.Error() // which begins in the same way
	}
	what := text(e.Kind)
	if e.Kind == KindStatus || e.Kind == KindRedirect || e.Kind == KindRefused {
		what = "answered " + statusLine(e.Status)
	}
	if e.Reason != "" {
		what += ": " + e.Reason
	}
	if e.detail != "" {
		what += ": " + e.detail
	}
	return e.Method + " " + e.Origin + ": " + what
}

// Unwrap returns the error that led to e, if it is one of those named above.
func (e *Error) Unwrap() error { return e.cause }

// statusLine describes a status in the words of RFC 9110, never in the receiver's.
func statusLine(status int) string {
	words := http.StatusText(status)
	if words == "" {
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status) + " " + words
}
