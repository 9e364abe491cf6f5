package webhook

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// certificatePause is the least pause after an attempt that failed for a certificate, the receiver's or ours: people renew
// certificates, so trying every few minutes is noise, and giving up would lose what a renewal could still deliver.
const certificatePause = time.Hour

func (c *Channel) newError(k Kind) *Error {
	return &Error{Kind: k, Method: c.method, Origin: c.origin}
}

// unrendered makes the error for a template that failed. field is the one of Config.
func (c *Channel) unrendered(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.unanswered(netguard.Classify(ctx, c.method, c.origin, ctx.Err(), false))
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

// unmade makes the error for a body that cannot be made.
func (c *Channel) unmade(ctx context.Context, m *model, err error) error {
	// The template's own error, and not what a BodyFunc may have put around it, which might say anything.
	if failed, ok := errors.AsType[*template.RenderError](err); ok {
		return c.unrendered(ctx, "Body", failed)
	}
	if invalid, ok := errors.AsType[*template.JSONError](err); ok {
		return c.unrendered(ctx, "Body", invalid)
	}
	if own, ok := errors.AsType[*unfitError](err); ok {
		return c.unfit("Body", own.problem)
	}
	return c.unfit("Body", printable(m.redactor.String(err.Error()), 200))
}

// unfit makes the error for a part of a request that cannot be sent.
func (c *Channel) unfit(field, problem string) error {
	e := c.newError(KindRender)
	e.detail = field + ": " + problem
	return retry.Permanent(e)
}

// unanswered makes the error for an exchange that failed. Most are worth another attempt.
func (c *Channel) unanswered(n *netguard.Error) error {
	e := c.newError(n.Kind)
	e.cause = n
	switch n.Kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return retry.Permanent(e)
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, certificatePause)
	default:
		return e
	}
}

// unfinished makes the error for an answer of a good status that could not be read to its end.
func (c *Channel) unfinished(a answer) error {
	e := c.newError(a.err.Kind)
	e.Status = a.status
	e.cause = a.err
	return e
}

// unready makes the error for an attempt whose credentials could not be read.
func (c *Channel) unready(ctx context.Context, err error) error {
	source, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // ctx is done
		return c.unanswered(netguard.Classify(ctx, c.method, c.origin, err, false))
	}
	e := c.newError(KindSecret)
	e.detail = source.Error()
	e.cause = source
	return e
}

// refused makes the error for an answer that is not a success.
func (c *Channel) refused(a answer, read Reading) error {
	e := c.newError(KindStatus)
	e.Status, e.Reason = a.status, read.Reason
	if c.succeeded(a.status) {
		e.Kind = KindRefused
	}
	if a.status >= 300 && a.status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, configure the final URL"
	}
	switch read.Verdict {
	case Retry:
		d := read.RetryAfter
		if d <= 0 {
			d = c.rateLimit.pause(a.status, a.header, time.Now())
		}
		if d > 0 {
			return retry.Delay(e, d)
		}
		return e
	case Gone:
		e.cause = channel.ErrGone
		e.detail = channel.ErrGone.Error()
	case Permanent, Taken:
	}
	return retry.Permanent(e)
}
