package sns

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	sdkretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
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

const (
	// certificatePause is the least pause after an attempt that failed for a certificate: people renew certificates, so
	// an attempt every few minutes is useless, and a dead letter would be premature.
	certificatePause = time.Hour
	// throttlePause is the least pause after throttling. SNS mostly does not name one, and its quotas are per second.
	throttlePause = time.Second
)

func (c *Channel) newError(k Kind) *Error { return &Error{Kind: k, Origin: c.origin} }

// contextError makes the error for a context that is done before anything was sent.
func (c *Channel) contextError(ctx context.Context) error {
	return c.networkError(ctx, netguard.Classify(ctx, "POST", c.origin, ctx.Err(), false))
}

// templateError makes the error for a template that failed, or whose text cannot be sent. field is the one of Config.
func (c *Channel) templateError(ctx context.Context, field string, err error) error {
	if r, ok := errors.AsType[*template.RenderError](err); ok && r.Kind == template.KindContext {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.contextError(ctx)
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
		return c.networkError(ctx, netguard.Classify(ctx, "POST", c.origin, err, false))
	}
	e := c.newError(KindSecret)
	e.detail = missing.Error()
	e.cause = missing
	return e
}

// callError makes the error for a call that the SDK does not call a success, or that has no result (err is nil then).
func (c *Channel) callError(ctx context.Context, call *apiCall, err error) error {
	switch {
	case call.failure != nil:
		return c.networkError(ctx, call.failure)
	case call.status == 0 && ctx.Err() != nil:
		return c.contextError(ctx)
	case call.status == 0: // the SDK has not even tried
		return retry.Permanent(c.newError(netguard.KindRequest))
	case call.status < 300:
		e := c.newError(netguard.KindProtocol)
		e.Status = call.status
		return e
	}
	return c.refusalError(call, err)
}

// networkError makes the error for a request that failed. Most are worth another attempt.
func (c *Channel) networkError(ctx context.Context, n *netguard.Error) error {
	e := c.newError(n.Kind)
	e.cause = n
	if errors.Is(n, netguard.ErrDestinationBlocked) {
		// Not in the error, which a tenant who configured the topic may see.
		c.logger.WarnContext(ctx, "sns may not connect to the endpoint", "origin", c.origin, "detail", n.Detail())
	}
	switch n.Kind {
	case netguard.KindBlocked, netguard.KindRequest:
		return retry.Permanent(e)
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, certificatePause)
	case netguard.KindProxy: // its answer may have been that it does not know the password
		c.core.proxy.Expire()
		return e
	default:
		return e
	}
}

// refusalError makes the error for an answer that is not a success.
func (c *Channel) refusalError(call *apiCall, err error) error {
	e := c.newError(KindRefused)
	e.Status = call.status
	if call.status < 400 {
		e.Kind = KindRedirect
		e.detail = "redirects are not followed, correct the Endpoint"
	}
	if a, ok := errors.AsType[smithy.APIError](err); ok {
		if code := a.ErrorCode(); isCode(code) && call.redactor.String(code) == code {
			e.Code = code
		}
	}
	skew, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err)
	switch classify(e.Status, e.Code, ok && skew.RetryableError()) {
	case throttled:
		return retry.Throttle(e, max(call.pause, throttlePause))
	case retriable:
		if call.pause > 0 {
			return retry.Throttle(e, call.pause)
		}
		return e
	case badCredentials:
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
	c.core.credentials.invalidate()
	c.core.proxy.Expire()
}

// isCode reports whether s looks like an error code of AWS, which is the only thing of an answer that may be in an
// error.
func isCode(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && r != '.' })
}

// refusal is what an answer that is not a success means for later attempts.
type refusal uint8

const (
	permanent      refusal = iota // the request will never be taken
	retriable                     // another attempt may succeed
	throttled                     // the same, and SNS asks for a pause
	badCredentials                // the same, with new credentials
	gone                          // there is no such topic
)

// classify says what to make of an answer that is not a success. Only what is about the request itself is permanent:
// losing a notice costs more than asking again. Codes are those of the Publish action and of "Common
// errors" in the Amazon SNS API reference (Version 2010-03-31) and of the SDK's tables; only those are listed whose
// status, which is mostly 400 or 403, says something else. skewed means that the SDK has seen that our clock is wrong
// and will sign the next request for the server's.
func classify(status int, code string, skewed bool) refusal {
	if _, ok := sdkretry.DefaultThrottleErrorCodes[code]; ok {
		return throttled
	}
	if _, ok := sdkretry.DefaultRetryableErrorCodes[code]; ok || skewed {
		return retriable
	}
	switch code {
	case "Throttled", "KMSThrottling", "KMSThrottlingException":
		return throttled
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired",
		"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "MissingAuthenticationToken",
		"AuthorizationError", "AccessDenied", "AccessDeniedException":
		return badCredentials
	case "InternalError", "InternalFailure", "ServiceUnavailable":
		return retriable
	case "NotFound":
		return gone
	case "EndpointDisabled", "PlatformApplicationDisabled", "OptInRequired", "InvalidSecurity",
		"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired":
		return retriable // about the account, which an administrator can correct
	}
	switch status {
	case http.StatusTooManyRequests:
		return throttled
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return badCredentials
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusExpectationFailed,
		http.StatusUnprocessableEntity, http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return permanent // about the request
	}
	return retriable
}
