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

// certificatePause is the least pause after an attempt that failed for a certificate, the receiver's or ours: people
// renew certificates, so trying every few minutes is noise, and giving up would lose what a renewal could still
// deliver.
const certificatePause = time.Hour

func (c *core) newError(k Kind) *Error {
	return &Error{Kind: k, Method: c.method, Origin: c.origin}
}

// templateError makes the error for a template that failed. field is the one of Config.
func (c *core) templateError(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.exchangeError(netguard.Classify(ctx, c.method, c.origin, ctx.Err(), false))
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
func (c *core) bodyError(ctx context.Context, m *requestTemplate, err error) error {
	// The template's own error, and not what a BodyFunc may have put around it, which might say anything.
	if failed, ok := errors.AsType[*template.RenderError](err); ok {
		return c.templateError(ctx, "Body", failed)
	}
	if invalid, ok := errors.AsType[*template.JSONError](err); ok {
		return c.templateError(ctx, "Body", invalid)
	}
	if own, ok := errors.AsType[*invalidBodyError](err); ok {
		return c.partError("Body", own.problem)
	}
	return c.partError("Body", printable(m.redactor.String(err.Error()), 200))
}

// partError makes the error for a part of a request that cannot be sent.
func (c *core) partError(field, problem string) error {
	e := c.newError(KindRender)
	e.detail = field + ": " + problem
	return retry.Permanent(e)
}

// exchangeError makes the error for an exchange that failed. Most are worth another attempt.
func (c *core) exchangeError(n *netguard.Error) error {
	e := c.newError(n.Kind)
	e.cause = n
	switch n.Kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return retry.Permanent(e)
	case netguard.KindProxy: // which may want another password
		c.settings.proxyPassword.Expire()
		return e
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, certificatePause)
	default:
		return e
	}
}

// unknownError makes the error for an answer with a success's status that Config.Interpret could not read to its end.
func (c *core) unknownError(a answer) error {
	e := c.newError(KindUnreadable)
	e.Status = a.status
	if a.err != nil {
		e.Kind, e.cause = a.err.Kind, a.err
	}
	return e
}

// credentialError makes the error for an attempt whose credentials could not be read.
func (c *core) credentialError(ctx context.Context, err error) error {
	source, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // ctx is done
		return c.exchangeError(netguard.Classify(ctx, c.method, c.origin, err, false))
	}
	e := c.newError(KindSecret)
	e.detail = source.Error()
	e.cause = source
	return e
}

// answerError makes the error for an answer that is not a success.
func (c *core) answerError(a answer, read Reading) error {
	e := c.newError(KindStatus)
	e.Status, e.Reason = a.status, read.Reason
	if c.succeeded(a.status) {
		e.Kind = KindRefused
	}
	if a.status >= 300 && a.status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, configure the final URL"
	}
	if a.status >= 200 && a.status < 300 {
		e.detail = c.expected(e)
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		c.settings.secrets.Expire()
	}
	if read.Verdict == retry.VerdictTransient || read.Verdict == retry.VerdictPostponed {
		return c.later(e, a, read.RetryAfter)
	}
	if read.Gone || a.status == http.StatusGone {
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
	for _, status := range c.success {
		wanted = append(wanted, strconv.Itoa(status))
	}
	return "only " + strings.Join(wanted, " and ") + " counts as a success here"
}

// later marks e with the pause that the receiver asks for: said is what Config.Interpret has read.
func (c *core) later(e *Error, a answer, said time.Duration) error {
	if said > 0 {
		return retry.Throttle(e, said)
	}
	d := c.rateLimit.pause(a.status, a.header, time.Now())
	switch {
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable && d > 0:
		return retry.Throttle(e, d)
	case d > 0:
		return retry.Delay(e, d)
	}
	return e
}
