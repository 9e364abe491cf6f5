package sns

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

const (
	// certificatePause is the least pause after an attempt that failed for a certificate: people renew certificates, so
	// trying every few minutes is noise, and giving up would lose what a renewal could still deliver.
	certificatePause = time.Hour
	// throttlePause is the least pause after throttling. SNS mostly does not name one, and its quotas are per second.
	throttlePause = time.Second
)

func (c *Channel) newError(k Kind) *Error { return &Error{Kind: k, Origin: c.origin} }

// ended makes the error for a context that is done before anything was sent.
func (c *Channel) ended(ctx context.Context) error {
	return c.exchangeError(netguard.Classify(ctx, "POST", c.origin, ctx.Err(), false))
}

// templateError makes the error for a template that failed, or whose text cannot be sent. field is the one of Config.
func (c *Channel) templateError(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.ended(ctx)
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

// credentialError makes the error for an attempt without credentials.
func (c *Channel) credentialError(ctx context.Context, err error) error {
	missing, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // ctx is done
		return c.exchangeError(netguard.Classify(ctx, "POST", c.origin, err, false))
	}
	e := c.newError(KindSecret)
	e.detail = missing.Error()
	e.cause = missing
	return e
}

// failed makes the error for a call that the SDK does not call a success, or that has no result (err is nil then).
func (c *Channel) failed(ctx context.Context, x *exchange, err error) error {
	switch {
	case x.failure != nil:
		return c.exchangeError(x.failure)
	case x.status == 0 && ctx.Err() != nil:
		return c.ended(ctx)
	case x.status == 0: // the SDK has not even tried
		return retry.Permanent(c.newError(netguard.KindRequest))
	case x.status < 300:
		e := c.newError(netguard.KindProtocol)
		e.Status = x.status
		return e
	}
	return c.refused(x, err)
}

// exchangeError makes the error for an exchange that failed. Most are worth another attempt.
func (c *Channel) exchangeError(n *netguard.Error) error {
	e := c.newError(n.Kind)
	e.cause = n
	switch n.Kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return retry.Permanent(e)
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, certificatePause)
	case netguard.KindProxy: // its answer may have been that it does not know the password
		c.private.proxy.Expire()
		return e
	default:
		return e
	}
}

// refused makes the error for an answer that is not a success.
func (c *Channel) refused(x *exchange, err error) error {
	e := c.newError(KindRefused)
	e.Status = x.status
	if x.status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, correct the Endpoint"
	}
	if a, ok := errors.AsType[smithy.APIError](err); ok {
		if code := a.ErrorCode(); isCode(code) && x.redactor.String(code) == code {
			e.Code = code
		}
	}
	skew, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err)
	switch judge(e.Status, e.Code, ok && skew.RetryableError()) {
	case throttled:
		return retry.Throttle(e, max(x.pause, throttlePause))
	case again:
		if x.pause > 0 {
			return retry.Throttle(e, x.pause)
		}
		return e
	case renew:
		c.expireCredentials()
		return e
	case gone:
		e.cause = channel.ErrGone
		e.detail = channel.ErrGone.Error()
	case permanent:
	}
	return retry.Permanent(e)
}

// expireCredentials makes the next attempt ask anew for all that a server, or a proxy before it, may have refused.
func (c *Channel) expireCredentials() {
	c.private.credentials.forget()
	c.private.proxy.Expire()
}

// isCode tells whether s looks like an error code of AWS, which is the only thing of an answer that may be in an error.
func isCode(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && r != '.' })
}
