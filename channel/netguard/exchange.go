package netguard

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// exchange follows one request: how far it got decides what a failure means, and how long it may still take. It is the
// request's context, so that code that net/http calls can find it. One that nobody else can still refer to is used again:
// contexts, timers and traces are most of what a request would allocate here.
type exchange struct {
	context.Context // ends with cancel; it has no parent, and never changes
	cancel          context.CancelCauseFunc
	traced          context.Context // the exchange with its trace
	trace           httptrace.ClientTrace
	timer           *time.Timer

	caller context.Context // whose values the exchange has, and with which it ends
	unlink func() bool     // from the caller; nil if that never ends
	proxy  *url.URL
	began  time.Time
	total  time.Duration // since began
	header time.Duration // since the request was written

	conn     net.Conn     // nil until there is one
	shared   bool         // others may refer to it: a goroutine that makes a connection, or the caller's trace
	asked    atomic.Bool  // for our certificate; set from the goroutine that connects
	written  atomic.Int64 // when the request was, since began; 0 = not yet. Set from the goroutine that writes
	answered atomic.Bool  // the response header is there
}

type exchangeKey struct{}

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return x
	case proxyURL{}:
		return x.proxy
	}
	if v := x.Context.Value(key); v != nil || x.caller == nil {
		return v
	}
	return x.caller.Value(key)
}

// The reasons for which an exchange ends itself.
var (
	errTotalLimit  = errors.New("total time limit")
	errHeaderLimit = errors.New("header time limit")
	errOver        = errors.New("exchange is over")
)

func newExchange() *exchange {
	x := &exchange{}
	x.Context, x.cancel = context.WithCancelCause(context.Background())
	x.trace.GotConn = func(info httptrace.GotConnInfo) {
		x.conn = info.Conn
		// net/http looks for an idle connection before it makes one. Only when it found one at once is there no goroutine
		// that makes another, with this exchange as its context.
		x.shared = x.shared || !info.WasIdle
	}
	x.trace.WroteRequest = func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			x.written.Store(max(1, int64(time.Since(x.began))))
		}
	}
	x.traced = httptrace.WithClientTrace(x, &x.trace)
	x.timer = time.AfterFunc(time.Hour, x.check)
	x.timer.Stop()
	return x
}

// begin starts an exchange on behalf of ctx.
func (c *Client) begin(ctx context.Context) *exchange {
	x, ok := c.pool.exchanges.Get().(*exchange)
	if !ok {
		x = newExchange()
	}
	x.caller, x.began, x.total, x.header = ctx, time.Now(), c.total, c.pool.timeouts.Header
	if httptrace.ContextClientTrace(ctx) != nil {
		x.shared = true
		x.traced = httptrace.WithClientTrace(x, &x.trace) // calls the caller's hooks as well
	}
	if ctx.Done() != nil {
		x.unlink = context.AfterFunc(ctx, func() { x.cancel(ctx.Err()) })
	}
	x.timer.Reset(min(x.total, x.header))
	return x
}

// check ends the exchange if one of its limits has passed, and comes again when that may be so.
func (x *exchange) check() {
	now := time.Since(x.began)
	next := x.total - now
	if written := time.Duration(x.written.Load()); !x.answered.Load() {
		if written == 0 {
			written = now
		}
		if written+x.header <= now {
			x.cancel(errHeaderLimit)
			return
		}
		next = min(next, written+x.header-now)
	}
	if now >= x.total {
		x.cancel(errTotalLimit)
		return
	}
	x.timer.Reset(next)
}

// end frees the exchange. Nothing may use it afterwards. One that has been ended is not used again: either its timer or the
// caller's link has fired then. Nor is one whose request is still being written, since its hook is still to come.
func (c *Client) end(x *exchange) {
	free := x.timer.Stop()
	if x.unlink != nil {
		free = x.unlink() && free
	}
	if !free || x.shared || x.written.Load() == 0 {
		x.cancel(errOver)
		return
	}
	x.caller, x.unlink, x.proxy, x.conn = nil, nil, nil, nil
	x.asked.Store(false)
	x.written.Store(0)
	x.answered.Store(false)
	c.pool.exchanges.Put(x)
}

// explain makes the error of the exchange from one of net/http. Its time limits, and its complaints about a request, have
// no types of their own.
func (x *exchange) explain(method, target string, err error) *Error {
	written := x.written.Load() != 0
	cause := context.Cause(x)
	switch {
	case errors.As(err, new(*BlockedError)):
	case errors.Is(cause, errHeaderLimit):
		err = &Error{Kind: KindHeaderTimeout, cause: context.DeadlineExceeded, OutcomeUnknown: written}
	case errors.Is(cause, errTotalLimit):
		err = &Error{Kind: KindTotalTimeout, cause: context.DeadlineExceeded, OutcomeUnknown: written}
	case errors.Is(cause, context.Canceled):
		err = &Error{Kind: KindCanceled, cause: context.Canceled, OutcomeUnknown: written}
	case cause != nil:
		err = &Error{Kind: KindTotalTimeout, cause: context.DeadlineExceeded, OutcomeUnknown: written}
	case errors.As(err, new(*Error)) || ended(x.caller, err):
	case x.asked.Load() && isAlert(err, handshakeFailure): // TLS 1.2 has no better word for a missing certificate
		err = &Error{Kind: KindTLSClientCert}
	case isTimeout(err) && !written:
		err = &Error{Kind: KindTLSTimeout, cause: context.DeadlineExceeded}
	case x.conn == nil && strings.HasPrefix(err.Error(), "net/http: invalid "), strings.Contains(err.Error(), "http: ContentLength="):
		err = &Error{Kind: KindRequest}
	}
	return Classify(x.caller, method, target, err, written)
}
