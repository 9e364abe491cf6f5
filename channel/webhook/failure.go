package webhook

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

func (c *Channel) newError(k Kind) *Error {
	return &Error{Kind: k, Method: c.request.Method, Origin: c.origin}
}

// unrendered makes the error for a template that failed. field is the one of Config.
func (c *Channel) unrendered(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		return c.ended(ctx, KindRenderTimeout)
	}
	e := c.newError(KindRender)
	e.detail = field + ": " + err.Error()
	e.cause = err
	return retry.Permanent(e)
}

// unfit makes the error for a template whose text cannot be sent.
func (c *Channel) unfit(field, problem string) error {
	e := c.newError(KindRender)
	e.detail = field + ": what it made " + problem
	return retry.Permanent(e)
}

// unanswered makes the error for an attempt whose answer did not begin.
func (c *Channel) unanswered(p *progress, s stage, err error) error {
	if e := c.ended(p, p.timeout(s)); e != nil {
		return e
	}
	if dial, ok := errors.AsType[*dialError](err); ok {
		e := c.newError(dial.kind)
		e.detail = dial.detail
		return e
	}
	switch {
	case isTimeout(err):
		return c.newError(p.timeout(s))
	case s == nothing || broken(err):
		e := c.newError(KindConnection)
		e.detail = systemText(err)
		return e
	}
	return c.newError(KindProtocol)
}

// unfinished makes the error for an attempt whose answer began and could not be read to its end.
func (c *Channel) unfinished(ctx context.Context, a answer) error {
	e := c.ended(ctx, KindBodyTimeout)
	switch {
	case e != nil:
	case isTimeout(a.err):
		e = c.newError(KindBodyTimeout)
	case broken(a.err):
		e = c.newError(KindConnection)
		e.detail = systemText(a.err)
	default:
		e = c.newError(KindProtocol)
	}
	e.Status = a.status
	return e
}

// ended makes the error for an attempt that its context ended, of kind late when that was a timeout. It returns nil when
// the context is not done.
func (c *Channel) ended(ctx context.Context, late Kind) *Error {
	cause := ctx.Err()
	if cause == nil {
		return nil
	}
	e := c.newError(late)
	if errors.Is(cause, context.Canceled) {
		e.Kind = KindCanceled
	}
	e.cause = cause
	return e
}

// refused makes the error for a status that is not a success.
func (c *Channel) refused(a answer) error {
	e := c.newError(KindStatus)
	e.Status = a.status
	if a.status >= 300 && a.status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, configure the final URL"
	}
	switch c.verdicts(a.status) {
	case Retry:
		if a.retryAfter > 0 {
			return retry.Delay(e, a.retryAfter)
		}
		return e
	case Gone:
		e.cause = channel.ErrGone
		e.detail = channel.ErrGone.Error()
	case Permanent:
	}
	return retry.Permanent(e)
}

// broken tells whether err means that the connection ended, and not that what came over it was wrong.
func broken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	// The receiver has closed a pooled connection just before we wrote to it. net/http does not export the error.
	return err.Error() == "http: server closed idle connection"
}
