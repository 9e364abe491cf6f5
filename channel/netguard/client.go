package netguard

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultUserAgent is sent unless the options or the request name another one. It says nothing about the host.
const DefaultUserAgent = "Tocsin/1"

// ClientOptions are the settings of a Client; the zero value is ready for use.
type ClientOptions struct {
	Limits    Limits // checked for every request, too
	TLS       TLS
	Proxy     *Proxy // nil = none; the environment is ignored
	Timeouts  Timeouts
	Senders   int    // how many requests run at a time; as many idle connections per host are kept, and at least 64
	UserAgent string // product/version; "" = DefaultUserAgent
}

// Client sends HTTP/1.1 requests over guarded connections. It follows no redirect (a 3xx is an ordinary response), keeps no
// cookie, does not read the environment, accepts at most 64 KiB of response header, and never sends a request twice once
// a byte of it was written, whatever its headers. Clients of one Guard with equal TLS, proxy, phase limits and number of
// idle connections share their connections. Safe for concurrent use.
type Client struct {
	pool      *pool
	limits    Limits
	total     time.Duration
	userAgent []string
	closed    atomic.Bool
}

var _ http.RoundTripper = (*Client)(nil)

// Client makes a Client. Close it when it is no longer needed. The error is a *ConfigError.
func (g *Guard) Client(o ClientOptions) (*Client, error) {
	if err := o.Limits.Check(); err != nil {
		return nil, err
	}
	timeouts, err := o.Timeouts.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Senders < 0 {
		return nil, &ConfigError{"senders", "is negative", "use 0 for the default"}
	}
	config, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	proxy, err := newProxy(o.Proxy, g.resolver)
	if err != nil {
		return nil, err
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	o.Limits.Ports, o.Limits.Methods = slices.Clone(o.Limits.Ports), slices.Clone(o.Limits.Methods)
	c := &Client{limits: o.Limits, total: timeouts.Total, userAgent: []string{o.UserAgent}}
	timeouts.Total = 0 // not a property of the connections
	key := poolKey{tls: o.TLS.key(), timeouts: timeouts, idle: max(64, o.Senders)}
	if proxy != nil {
		key.proxy, key.proxied = proxy.key, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pools[key]
	if p == nil {
		p = &pool{key: key, tls: config, proxy: proxy, timeouts: timeouts, guard: g}
		if cert := o.TLS.ClientCertificate; cert != nil && cert.generation != nil {
			p.generation = cert.generation()
		}
		p.renew()
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
		c.pool.current.Load().closeIdle()
	}
}

// CloseIdleConnections closes the idle connections, also those of clients that share them.
func (c *Client) CloseIdleConnections() { c.pool.current.Load().closeIdle() }

// HTTPClient returns an http.Client over c for libraries that ask for one. It wraps errors in *url.Error, whose text holds
// the whole URL: take the *Error out, with [Classify], before showing one.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{
		Transport:     c,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip is Do.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Do(req) }

// Do sends req once. Every error, also one met while reading the body, is an *Error. A status outside 200 to 599 is one
// too. The body must be closed; [ReadBody] does that.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if err := c.admit(req); err != nil {
		closeBody(req)
		return nil, Classify(req.Context(), req.Method, Origin(req.URL), err, false)
	}
	if err := req.Context().Err(); err != nil { // the exchange would learn it a moment too late
		closeBody(req)
		return nil, Classify(req.Context(), req.Method, Origin(req.URL), err, false)
	}
	x := c.begin(req.Context())
	resp, err := c.send(x, req)
	if err != nil {
		e := x.explain(req.Method, Origin(req.URL), err)
		c.end(x)
		return nil, e
	}
	x.answered.Store(true)
	resp.Request = req
	if resp.Body == http.NoBody {
		c.end(x)
		return resp, nil
	}
	b := &body{from: resp.Body, client: c, method: req.Method, url: req.URL, caller: x.caller}
	b.x.Store(x)
	resp.Body = b
	return resp, nil
}

// send makes one exchange; its errors are made complete by Do.
func (c *Client) send(x *exchange, req *http.Request) (*http.Response, error) {
	via := c.pool.get()
	transport := via.direct
	if c.pool.proxy != nil {
		u, err := c.route(x, req)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		if u != nil {
			transport, x.proxy = via.proxied, u
		}
	}
	resp, err := transport.RoundTrip(c.prepare(x.traced, req))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusProxyAuthRequired && x.proxy != nil && req.URL.Scheme == "http" {
		_ = resp.Body.Close() // the proxy's own answer, which tells nothing of the destination
		return nil, &Error{Kind: KindProxy, reason: "it wants other credentials"}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		_ = resp.Body.Close()
		_ = x.conn.Close() // net/http would use it again if there is no body
		return nil, &Error{Kind: KindProtocol, reason: "its status is not one of 200 to 599", OutcomeUnknown: true}
	}
	return resp, nil
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
	case c.limits.NoExplicitPort && u.Port() != "", len(c.limits.Ports) > 0 && !c.limits.allowsPort(portOf(u.Scheme, u.Port())):
		return &BlockedError{Host: u.Hostname(), What: "port " + strconv.Itoa(portOf(u.Scheme, u.Port()))}
	}
	return nil
}

// prepare returns the copy of req to send.
func (c *Client) prepare(ctx context.Context, req *http.Request) *http.Request {
	r := req.WithContext(ctx)
	if r.Method == http.MethodGet { // which net/http sends again by itself, unless it has a body that is there only once
		r.GetBody = nil
		if r.Body == nil || r.Body == http.NoBody {
			r.Body = io.NopCloser(strings.NewReader(""))
		}
	}
	_, named := r.Header["User-Agent"]
	if named && r.Header["Idempotency-Key"] == nil && r.Header["X-Idempotency-Key"] == nil {
		return r
	}
	if r.Header = r.Header.Clone(); r.Header == nil {
		r.Header = make(http.Header, 1)
	}
	if !named {
		r.Header["User-Agent"] = c.userAgent
	}
	// net/http takes these headers as leave to send a request again by itself. It looks for this spelling only, while for
	// receivers case has no meaning.
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values := r.Header[name]; values != nil {
			delete(r.Header, name)
			r.Header[strings.ToLower(name)] = values
		}
	}
	return r
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
