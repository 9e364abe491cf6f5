package netguard

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Proxy sends requests through an HTTP proxy: with CONNECT for https, as a whole for http. The Guard checks the
// destination before the proxy is contacted, as [Guard.CheckHost] can; with a proxy the rest depends on ResolveTarget,
// or on the proxy having rules of its own.
type Proxy struct {
	URL      string       // http://host:port, without user info
	User     string       // "" = no authentication
	Password secret.Value // sent with User

	// FromEnvironment takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY as they are when the Client is made, in place of URL,
	// User and Password. Without it the environment is ignored.
	FromEnvironment bool

	// Profile says what the proxy's own address may be, which is usually private. It is the operator's, whatever
	// profile destinations are checked by.
	Profile Profile

	// ResolveTarget resolves the destination here as well and checks every address. It needs a name server that knows
	// the names, and costs a look-up per request.
	ResolveTarget bool
}

// proxyKey identifies a proxy configuration: connections may be shared between equal ones.
type proxyKey struct {
	url, user, profile string
	password           secret.Value
	resolve            bool
	environment        [sha256.Size]byte // digest of its httpproxy.Config, which may hold a password
}

// proxy is a Proxy ready for use; nil is none.
type proxy struct {
	guard    *Guard // checks the proxy's address
	choose   func(target *url.URL) (*url.URL, error)
	user     string
	password secret.Value
	resolve  bool
	key      proxyKey
}

func newProxy(p *Proxy, resolver *net.Resolver) (*proxy, error) {
	if p == nil {
		return nil, nil
	}
	guard, err := New(p.Profile, resolver)
	errs := []error{channel.ConfigErrorsAt(err, pkg, "Profile")}
	made := &proxy{guard: guard, user: p.User, password: p.Password, resolve: p.ResolveTarget}
	made.key = proxyKey{url: p.URL, user: p.User, profile: p.Profile.String(), password: p.Password, resolve: p.ResolveTarget}
	if p.FromEnvironment {
		if p.URL != "" || p.User != "" || !p.Password.IsZero() {
			errs = append(errs, configError(channel.CodeConflict, "", "is given and to be taken from the environment", "choose one"))
		}
		environment := httpproxy.FromEnvironment()
		made.key.environment = sha256.Sum256(fmt.Append(nil, *environment))
		made.choose = environment.ProxyFunc()
		return made, errors.Join(errs...)
	}
	fixed, err := parseProxyURL(p.URL)
	made.choose = func(*url.URL) (*url.URL, error) { return fixed, nil }
	if errs = append(errs, err); p.User == "" && !p.Password.IsZero() {
		errs = append(errs, configError(channel.CodeMissing, "User", "is missing, though there is a password", "give both or none"))
	}
	return made, errors.Join(errs...)
}

// parseProxyURL is ParseURL with what is particular to proxies.
func parseProxyURL(raw string) (*url.URL, error) {
	const field, form = "URL", "write it as http://host:port"
	switch scheme, _, ok := strings.Cut(raw, "://"); {
	case raw == "":
		return nil, configError(channel.CodeMissing, field, "is empty", form)
	case !ok:
		return nil, configError(channel.CodeInvalid, field, "has no scheme", form)
	case !strings.EqualFold(scheme, "http"):
		return nil, configError(channel.CodeInvalid, field, "has a scheme other than http", form+"; proxies that speak SOCKS, or TLS with us, are not supported")
	}
	u, err := ParseURL(field, raw, Limits{AllowInsecureHTTP: true})
	if err != nil {
		return nil, channel.EditConfigErrors(err, func(e *channel.ConfigError) {
			if e.Package = pkg; strings.Contains(raw, "@") {
				e.Remedy = form + ", and the credentials as User and Password"
			}
		})
	}
	if u.RequestURI() != "/" {
		return nil, configError(channel.CodeInvalid, field, "has a path or query", form)
	}
	return u, nil
}

// urlFor returns the proxy's URL for target, nil for none, with the credentials.
func (p *proxy) urlFor(ctx context.Context, target *url.URL) (*url.URL, *Error) {
	u, err := p.choose(target)
	if err != nil || u != nil && u.Scheme != "http" {
		return nil, &Error{Kind: KindProxy, reason: "the environment names one that is not of the form http://host:port"}
	}
	if u == nil || p.user == "" {
		return u, nil
	}
	password := ""
	if !p.password.IsZero() {
		if password, err = p.password.Reveal(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, Classify(ctx, "", "", err, false)
			}
			return nil, &Error{Kind: KindProxy, reason: "its password could not be read"}
		}
	}
	with := *u
	with.User = url.UserPassword(p.user, password)
	return &with, nil
}

// dial connects to the proxy. A refusal of its address says nothing of the destination, and its text would name the
// proxy.
func (p *proxy) dial(ctx context.Context, network, address string, limits Timeouts) (net.Conn, error) {
	conn, err := p.guard.dial(ctx, network, address, limits.Connect)
	if err == nil {
		return conn, nil
	}
	e := Classify(ctx, "", "", err, false)
	switch {
	case e.Kind == KindBlocked:
		e.reason = "its address is not allowed by its profile"
	case e.Kind == KindDNS && (e.absent != "" || e.cause != nil):
		e.reason = "its host name is unknown, or its address not allowed by its profile"
	case e.Kind == KindDNS:
		e.reason = "its host name could not be resolved"
	case e.Kind == KindConnect:
	default:
		return nil, e
	}
	e.Kind, e.absent, e.cause = KindProxy, "", nil
	return nil, e
}

// judgeProxied judges a destination that a proxy is to connect to.
func (g *Guard) judgeProxied(ctx context.Context, host string, resolve bool, limits Timeouts) error {
	if err := g.CheckHost(host); err != nil || !resolve {
		return err
	}
	resolver := g.resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	limited, cancel := context.WithTimeout(ctx, limits.Connect)
	defer cancel()
	addrs, err := resolver.LookupNetIP(limited, "ip", host)
	if err != nil {
		return dialError(ctx, "", host, err, limited.Err() != nil)
	}
	p := g.policy()
	for _, a := range addrs {
		if why := p.refuses(a); why != "" {
			refusal := blocked(host, a.String()+": "+why)
			refusal.resolved = isName(host)
			return refusal
		}
	}
	return nil
}

// proxyFor checks the destination and chooses the proxy for it; nil means a direct connection, which is checked when it
// is made.
func (c *Client) proxyFor(ctx context.Context, req *http.Request, deadline time.Time) (*proxyHop, error) {
	p := c.pool.proxy
	if p == nil {
		return nil, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	u, failure := p.urlFor(ctx, req.URL)
	if failure != nil {
		return nil, failure
	}
	if u == nil {
		return nil, nil
	}
	// The proxy would make an address of a host such as 127.1 or ①②⑦.⓪.⓪.①.
	host := req.URL.Hostname()
	if clean, reason := cleanHost(host, false); reason != "" || clean != host {
		return nil, &Error{Kind: KindRequest, reason: "the host must be in the form ParseURL returns"}
	}
	// What a proxy connects to for http is the Host, not the URL that is checked here.
	if req.Host != "" && req.Host != req.URL.Host {
		return nil, &Error{Kind: KindRequest, reason: "a Host other than the URL's cannot be sent through a proxy"}
	}
	if err := c.pool.guard.judgeProxied(ctx, host, p.resolve, c.pool.timeouts); err != nil {
		return nil, err
	}
	return &proxyHop{u, p.password}, nil
}

// proxyHop is a proxy on the way of one request; nil is none.
type proxyHop struct {
	url      *url.URL     // with the credentials, if there are any
	password secret.Value // from which they are
}

// key says which connections may carry a request to u. One to a proxy serves every host, unless it holds a tunnel.
func (h *proxyHop) key(u *url.URL) connKey {
	switch {
	case h == nil:
		return connKey{scheme: u.Scheme, host: u.Host}
	case u.Scheme == "http":
		return connKey{proxy: h.url.String(), scheme: u.Scheme}
	}
	return connKey{proxy: h.url.String(), scheme: u.Scheme, host: u.Host}
}

// authorization returns the value of Proxy-Authorization, "" if there is none.
func (h *proxyHop) authorization() string {
	if h.url.User == nil {
		return ""
	}
	password, _ := h.url.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(h.url.User.Username()+":"+password))
}

// authorize returns req as it is sent to the proxy; one for a tunnel's other end stays as it is.
func (h *proxyHop) authorize(req *http.Request) *http.Request {
	credentials := h.authorization()
	if req.URL.Scheme != "http" || credentials == "" {
		return req
	}
	r := *req
	r.Header = req.Header.Clone()
	r.Header.Set("Proxy-Authorization", credentials)
	return &r
}

// tunnel makes the proxy connect conn to target. The error is an *Error.
func (h *proxyHop) tunnel(ctx context.Context, conn net.Conn, target string, limits Timeouts) error {
	limited, cancel := context.WithTimeout(ctx, limits.Header)
	defer cancel()
	stop := context.AfterFunc(limited, func() { _ = conn.Close() })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{"User-Agent": {""}}}
	if credentials := h.authorization(); credentials != "" {
		req.Header.Set("Proxy-Authorization", credentials)
	}
	err := req.Write(conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxResponseHeader)), req) //nolint:bodyclose // the response to CONNECT has none
	}
	switch {
	case ctx.Err() != nil:
		return Classify(ctx, "", "", ctx.Err(), false)
	case err != nil:
		return &Error{Kind: KindProxy, reason: "it did not answer properly"}
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return h.unauthorized()
	case resp.StatusCode != http.StatusOK:
		return &Error{Kind: KindProxy, reason: "it refused the destination"}
	}
	return nil
}

// unauthorized is the error of a proxy that refuses the credentials. They may have been rotated since they were read.
func (h *proxyHop) unauthorized() *Error {
	h.password.Expire()
	return &Error{Kind: KindProxy, reason: "it wants other credentials"}
}

// address returns host:port of u, with the port of its scheme if it names none.
func address(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), strconv.Itoa(portOf(u.Scheme, u.Port())))
}
