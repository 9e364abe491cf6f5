package webhook

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// Kind says how an attempt failed: one of the kinds of package netguard, or one of those below. New kinds may be added.
type Kind = netguard.Kind

// The kinds of a webhook's own. KindNoEvent, KindRender and KindTooLarge are permanent, and nothing was sent.
// KindSecret, KindRenderTimeout and KindUnreadable are worth another attempt, and KindStatus, KindRedirect and
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

// kindText describes a kind that has neither a status nor an error of package netguard.
func kindText(k Kind) string {
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
	what := kindText(e.Kind)
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

// certificatePause is the least pause after an attempt that failed for a certificate, the receiver's or ours: people
// renew certificates, so trying every few minutes is noise, and a dead letter would lose what a renewal could still
// deliver.
const certificatePause = time.Hour

func (c *core) newError(k Kind) *Error {
	return &Error{Kind: k, Method: c.config.Method, Origin: c.origin}
}

// templateError makes the error for a template that failed. field is the one of Config.
func (c *core) templateError(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.exchangeError(ctx, netguard.Classify(ctx, c.config.Method, c.origin, ctx.Err(), false))
		}
		e := c.newError(KindRenderTimeout)
		e.cause = ctx.Err()
		return e
	}
	e := c.newError(KindRender)
	e.detail = field + ": " + err.Error()
	e.cause = err
	return retry.Permanent(e)
}

// bodyError makes the error for a body that cannot be made.
func (c *core) bodyError(ctx context.Context, t *requestTemplate, err error) error {
	// The template's own error, and not what a BodyFunc may have put around it, which might say anything.
	if failed, ok := errors.AsType[*template.RenderError](err); ok {
		return c.templateError(ctx, "Body", failed)
	}
	if invalid, ok := errors.AsType[*template.JSONError](err); ok {
		return c.templateError(ctx, "Body", invalid)
	}
	if invalid, ok := errors.AsType[*invalidBodyError](err); ok {
		return c.renderError("Body", invalid.problem)
	}
	return c.renderError("Body", printable(t.redactor.String(err.Error()), 200))
}

// renderError makes the error for a part of a request that cannot be made.
func (c *core) renderError(field, problem string) error {
	e := c.newError(KindRender)
	e.detail = field + ": " + problem
	return retry.Permanent(e)
}

// exchangeError makes the error for an exchange that failed. Most are worth another attempt.
func (c *core) exchangeError(ctx context.Context, n *netguard.Error) error {
	e := c.newError(n.Kind)
	e.cause = n
	if errors.Is(n, netguard.ErrDestinationBlocked) {
		// Not in the error, which a tenant who configured the webhook may see.
		c.config.Logger.WarnContext(ctx, "webhook may not connect to the receiver", "origin", c.origin, "detail", n.Detail())
	}
	switch n.Kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return retry.Permanent(e)
	case netguard.KindProxy: // which may want another password
		c.proxyPassword.Expire()
		return e
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, certificatePause)
	default:
		return e
	}
}

// incompleteError makes the error for a response with a success's status that Config.Interpret could not read to its
// end.
func (c *core) incompleteError(answer response) error {
	e := c.newError(KindUnreadable)
	e.Status = answer.Status
	if answer.err != nil {
		e.Kind, e.cause = answer.err.Kind, answer.err
	}
	return e
}

// credentialError makes the error for an attempt whose credentials could not be read.
func (c *core) credentialError(ctx context.Context, err error) error {
	source, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // ctx is done
		return c.exchangeError(ctx, netguard.Classify(ctx, c.config.Method, c.origin, err, false))
	}
	e := c.newError(KindSecret)
	e.detail = source.Error()
	e.cause = source
	return e
}

// statusError makes the error for a response that is not a success.
func (c *core) statusError(answer response, reading Reading) error {
	e := c.newError(KindStatus)
	e.Status, e.Reason = answer.Status, reading.Reason
	if c.succeeded(answer.Status) {
		e.Kind = KindRefused
	}
	if answer.Status >= 300 && answer.Status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, configure the final URL"
	}
	if answer.Status >= 200 && answer.Status < 300 {
		e.detail = c.expected(e)
	}
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		c.secrets.Expire()
	}
	if reading.Verdict == retry.VerdictTransient || reading.Verdict == retry.VerdictPostponed {
		return c.pauseError(e, answer, reading.RetryAfter)
	}
	if reading.Gone || answer.Status == http.StatusGone {
		e.cause = channel.ErrGone
		e.detail = channel.ErrGone.Error()
	}
	return retry.Permanent(e)
}

// expected says why a 2xx is not a success, which its number does not.
func (c *core) expected(e *Error) string {
	if e.Kind == KindRefused {
		if e.Reason != "" {
			return ""
		}
		return "what it says is a refusal"
	}
	var wanted []string
	for _, status := range c.config.Success {
		wanted = append(wanted, strconv.Itoa(status))
	}
	return "only " + strings.Join(wanted, " and ") + " counts as a success here"
}

// pauseError marks e with the pause that the receiver asks for: said is what Config.Interpret has read.
func (c *core) pauseError(e *Error, answer response, said time.Duration) error {
	if said > 0 {
		return retry.Throttle(e, said)
	}
	d := c.config.RateLimit.pause(answer.Status, answer.Header, time.Now())
	switch {
	case answer.Status == http.StatusTooManyRequests, answer.Status == http.StatusServiceUnavailable && d > 0:
		return retry.Throttle(e, d)
	case d > 0:
		return retry.Delay(e, d)
	}
	return e
}
