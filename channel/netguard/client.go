package netguard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/tocsin-go/tocsin/channel"
)

// DefaultUserAgent is sent unless the options or the request name another one. It says nothing about the host.
const DefaultUserAgent = "Tocsin/1"

// ClientOptions are the settings of a Client; the zero value is ready for use.
type ClientOptions struct {
	Limits    Limits // checked for every request, too
	TLS       TLS
	Proxy     *Proxy // nil = none; the environment is ignored
	Timeouts  Timeouts
	UserAgent string // product/version; "" = DefaultUserAgent
}

// Client sends HTTP/1.1 requests over guarded connections. It follows no redirect (a 3xx is an ordinary response),
// keeps no cookie, does not read the environment, accepts at most 64 KiB of response header, decompresses nothing, and
// never sends a request twice by itself. Clients of one Guard with equal TLS, proxy and phase limits share their
// connections, of which up to 256 per host are kept idle for 90 seconds; an idle one is checked before it is used, and
// where the system cannot tell how it is, which is so on Windows, it is not used again. Safe for concurrent use.
type Client struct {
	pool      *pool
	limits    Limits
	total     time.Duration
	userAgent []string
	closed    atomic.Bool
}

var _ http.RoundTripper = (*Client)(nil)

// Client makes a Client. Close it when it is no longer needed. The error joins a *channel.ConfigError for every
// problem.
func (g *Guard) Client(o ClientOptions) (*Client, error) {
	timeouts, timeoutsErr := o.Timeouts.withDefaults()
	config, tlsErr := o.TLS.Config()
	proxy, proxyErr := newProxy(o.Proxy, g.resolver)
	if err := errors.Join(
		channel.ConfigErrorsAt(o.Limits.Validate(), pkg, "Limits"), channel.ConfigErrorsAt(tlsErr, pkg, "TLS"),
		channel.ConfigErrorsAt(proxyErr, pkg, "Proxy"), channel.ConfigErrorsAt(timeoutsErr, pkg, "Timeouts"),
	); err != nil {
		return nil, err
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	o.Limits.Ports, o.Limits.Methods = slices.Clone(o.Limits.Ports), slices.Clone(o.Limits.Methods)
	c := &Client{limits: o.Limits, total: timeouts.Total, userAgent: []string{o.UserAgent}}
	timeouts.Total = 0 // not a property of the connections
	key := poolKey{tls: o.TLS.key(), timeouts: timeouts}
	if proxy != nil {
		key.proxy = proxy.key
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pools[key]
	if p == nil {
		p = &pool{key: key, tls: config, proxy: proxy, timeouts: timeouts, guard: g, maxIdle: maxIdlePerHost, generation: o.TLS.ClientCertificate.generation()}
		if g.pools == nil {
			g.pools = make(map[poolKey]*pool)
		}
		g.pools[key] = p
	}
	p.users++
	c.pool = p
	return c, nil
}

// Close closes idle connections, unless another Client shares them, and makes further requests fail.
func (c *Client) Close() {
	if c.closed.Swap(true) {
		return
	}
	g := c.pool.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.pool.users--; c.pool.users == 0 {
		delete(g.pools, c.pool.key)
		c.pool.closeIdle()
	}
}

// CloseIdleConnections closes the idle connections, also those of clients that share them.
func (c *Client) CloseIdleConnections() { c.pool.closeIdle() }

// HTTPClient returns an http.Client over c for libraries that ask for one. It wraps errors in *url.Error, whose text
// holds the whole URL: take the *Error out, with [Classify], before showing one.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{
		Transport:     c,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip is Do within the request's context.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.Do(req.Context(), req)
}

// Do sends req once, within ctx; the request's own context is ignored. Every error, also one met while reading
// the body, is an *Error. A status outside 200 to 599 is one too. The body must be closed; [ReadBody] does that. When
// Do fails, and when the body is closed, nothing reads the request's body any more.
func (c *Client) Do(ctx context.Context, req *http.Request) (*http.Response, error) {
	t := &roundTrip{client: c, ctx: ctx, req: req, deadline: time.Now().Add(c.total)}
	resp, err := c.send(t)
	if err != nil {
		closeBody(req)
		t.finish(false)
		return nil, t.wrap(err)
	}
	if resp.Body == http.NoBody {
		t.finish(true)
		return resp, nil
	}
	t.body, resp.Body = resp.Body, t
	return resp, nil
}

// send makes a round trip up to the header of the response; its errors are made complete by Do.
func (c *Client) send(t *roundTrip) (*http.Response, error) {
	if err := c.admit(t.req); err != nil {
		return nil, err
	}
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	hop, err := c.proxyFor(t.ctx, t.req, t.deadline)
	if err != nil {
		return nil, err
	}
	key := hop.key(t.req.URL)
	conn, epoch := c.pool.getIdle(key)
	if conn == nil {
		ctx, cancel := context.WithDeadline(t.ctx, t.deadline)
		defer cancel()
		if conn, err = c.pool.connect(ctx, key, epoch, t.req, hop); err != nil {
			return nil, err
		}
	}
	t.conn, t.hop = conn, hop
	return t.start()
}

// admit applies the limits again: the URL of a request may have been made from a template.
func (c *Client) admit(req *http.Request) error {
	u := req.URL
	if c.closed.Load() {
		return &Error{Kind: KindCanceled, reason: "the client is closed", cause: context.Canceled}
	}
	if u == nil || u.Host == "" || u.Opaque != "" || u.User != nil {
		return &Error{Kind: KindRequest, reason: "the URL must have a host and no user info"}
	}
	switch {
	case !c.limits.allowsScheme(u.Scheme):
		return &BlockedError{Host: u.Hostname(), What: "scheme " + u.Scheme}
	case !c.limits.allowsMethod(req.Method):
		return &BlockedError{Host: u.Hostname(), What: "method " + printable(req.Method)}
	case !validHeader(req.Header) || !validHeader(req.Trailer):
		return &Error{Kind: KindRequest, reason: "a header has a name or a value that no header may have"}
	case c.limits.NoExplicitPort && u.Port() != "", len(c.limits.Ports) > 0 && !c.limits.allowsPort(portOf(u.Scheme, u.Port())):
		return &BlockedError{Host: u.Hostname(), What: "port " + strconv.Itoa(portOf(u.Scheme, u.Port()))}
	}
	return nil
}

// complete returns req with the headers it lacks, in a copy.
func (c *Client) complete(req *http.Request) *http.Request {
	_, named := req.Header["User-Agent"]
	_, encoded := req.Header["Accept-Encoding"]
	if named && encoded {
		return req
	}
	r := *req
	if r.Header = req.Header.Clone(); r.Header == nil {
		r.Header = make(http.Header, 2)
	}
	if !named {
		r.Header["User-Agent"] = c.userAgent
	}
	if !encoded {
		r.Header["Accept-Encoding"] = []string{"identity"} // an answer worth compressing is not worth reading
	}
	return &r
}

// validHeader reports whether h can be sent as it is; net/http would leave names out and change values.
func validHeader(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return false
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return false
			}
		}
	}
	return true
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// Timeouts limit the phases of a request. Zero is the default.
type Timeouts struct {
	Connect time.Duration // name resolution and TCP; 10 s
	TLS     time.Duration // handshake; 10 s
	Header  time.Duration // from the request sent to the response header received; 15 s
	Total   time.Duration // everything, the response body included; 30 s. An earlier deadline of the request's context wins
}

func (t Timeouts) withDefaults() (Timeouts, error) {
	var errs []error
	for _, p := range []struct {
		path     string
		value    *time.Duration
		standard time.Duration
	}{
		{"Connect", &t.Connect, connectTimeout}, {"TLS", &t.TLS, 10 * time.Second},
		{"Header", &t.Header, 15 * time.Second}, {"Total", &t.Total, 30 * time.Second},
	} {
		if *p.value < 0 {
			errs = append(errs, configError(channel.CodeRange, p.path, "is negative", "use 0 for the default of "+p.standard.String()))
		}
		if *p.value == 0 {
			*p.value = p.standard
		}
	}
	return t, errors.Join(errs...)
}
