package sns

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Error is the error of a failed attempt. Of what SNS said it holds the status and the error code; the sentence that
// came with it may name accounts and users, and is in the receipt. errors.As finds the *netguard.Error of a failed
// exchange, the *netguard.BlockedError of a refused destination, the *secret.SourceError of missing credentials, and
// the *template.RenderError or *template.JSONError of a KindRender; errors.Is finds channel.ErrGone,
// netguard.ErrDestinationBlocked, context.Canceled and context.DeadlineExceeded where they apply. The SDK's own error,
// which quotes the answer, cannot be reached.
type Error struct {
	Kind   Kind
	Status int    // of the answer; 0 = there was none
	Code   string // SNS's error code, such as "AuthorizationError"; "" = there was none that looks like one
	Origin string // of the endpoint: scheme://host or scheme://host:port

	detail string // fixed words or the text of cause; "" = none
	cause  error  // one of the errors named above
}

// Error returns the endpoint's origin and what happened, in one line.
func (e *Error) Error() string {
	if n, ok := errors.AsType[*netguard.Error](e.cause); ok {
		return n.Error() // which begins in the same way
	}
	what := text(e.Kind)
	if e.Kind == KindRefused || e.Kind == KindRedirect {
		what = "answered " + strconv.Itoa(e.Status)
		if words := http.StatusText(e.Status); words != "" {
			what += " " + words
		}
	}
	if e.Code != "" {
		what += " " + e.Code
	}
	if e.detail != "" {
		what += ": " + e.detail
	}
	return http.MethodPost + " " + e.Origin + ": " + what
}

// Unwrap returns the error that led to e, if it is one of those named above.
func (e *Error) Unwrap() error { return e.cause }
