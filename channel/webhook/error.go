package webhook

import (
	"net/http"
	"strconv"
)

// Error is the error of a failed attempt. It holds nothing of the URL but its origin, and nothing the receiver said but
// its status. The network's own error cannot be reached through it, because it may quote the URL; errors.Is finds
// channel.ErrGone, context.Canceled and context.DeadlineExceeded where they apply. The text of a KindRender names the field
// of [Config] and the line and column in its template, never the event's data; errors.As finds the *template.RenderError
// or *template.JSONError.
type Error struct {
	Kind   Kind
	Status int    // of the answer; 0 = there was none
	Method string // of the request
	Origin string // scheme://host or scheme://host:port

	detail string // fixed words, a system error's text or a template's error; "" = none
	cause  error  // one of the errors named above
}

// Error returns method, origin and what happened, in one line.
func (e *Error) Error() string {
	text := e.Kind.text()
	if e.Kind == KindStatus || e.Kind == KindRedirect {
		text = "answered " + statusLine(e.Status)
	}
	if e.detail != "" {
		text += ": " + e.detail
	}
	return e.Method + " " + e.Origin + ": " + text
}

// Unwrap returns channel.ErrGone, the context's error, the template's error or nil.
func (e *Error) Unwrap() error { return e.cause }

// statusLine describes a status in the words of RFC 9110, never in the receiver's.
func statusLine(status int) string {
	text := http.StatusText(status)
	if text == "" {
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status) + " " + text
}
