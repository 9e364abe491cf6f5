package netguard

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// testProxy is an HTTP proxy that connects everything to one server.
type testProxy struct {
	*rawServer
	to       string
	status   atomic.Int32 // answer, 0 = connect
	mu       sync.Mutex
	requests []string // method, target, credentials
}

func newTestProxy(t *testing.T, to string) *testProxy {
	t.Helper()
	p := &testProxy{to: to}
	p.rawServer = newRawServer(t, p.serve)
	return p
}

func (p *testProxy) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.requests = append(p.requests, strings.TrimSpace(req.Method+" "+req.RequestURI+" "+req.Header.Get("Proxy-Authorization")))
		p.mu.Unlock()
		if req.Method != http.MethodConnect {
			_, _ = io.Copy(io.Discard, req.Body)
			if status := p.status.Load(); status != 0 {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d s3cret-of-the-proxy\r\nContent-Length: 7\r\n\r\nrefused", status)
				continue
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied")
			continue
		}
		if status := p.status.Load(); status != 0 {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d s3cret-of-the-proxy\r\nContent-Length: 0\r\n\r\n", status)
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(server, reader); closeQuietly(server) })
		both.Go(func() { _, _ = io.Copy(conn, server); closeQuietly(conn) })
		both.Wait()
		return
	}
}

func (p *testProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

func TestS10_TheEnvironmentIsIgnored(t *testing.T) {
	proxy := newTestProxy(t, "")
	t.Setenv("HTTP_PROXY", proxy.url)
	t.Setenv("HTTPS_PROXY", proxy.url)
	t.Setenv("http_proxy", proxy.url)
	resolver := newResolver(t, fixedNames(map[string][]string{"server.example": {"127.0.0.1"}}))
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") })
	c := newClient(t, newGuard(t, Profile{Loopback: true}, resolver), ClientOptions{Limits: plain})
	body, err := do(t, c, post(t, named(t, server.URL, "server.example"), "x"))
	require.NoError(t, err)
	assert.Equal(t, "direct", body)
	assert.Empty(t, proxy.seen())
}

func TestS10_EnvironmentOnPurpose(t *testing.T) {
	proxy := newTestProxy(t, "")
	t.Setenv("HTTP_PROXY", proxy.url)
	t.Setenv("NO_PROXY", "direct.example")
	resolver := newResolver(t, fixedNames(map[string][]string{"direct.example": {"10.0.0.1"}}))
	g := newGuard(t, Profile{}, resolver)
	c := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{FromEnvironment: true, Profile: Profile{Loopback: true}}})
	body, err := do(t, c, post(t, "http://hooks.example/", "x"))
	require.NoError(t, err)
	assert.Equal(t, "proxied", body)
	_, err = do(t, c, post(t, "http://direct.example/", "x"))
	require.ErrorIs(t, err, ErrDestinationBlocked, "a direct connection is judged by the destinations' profile")

	t.Setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
	odd := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{FromEnvironment: true, Profile: Profile{Loopback: true}}})
	_, err = do(t, odd, post(t, "http://hooks.example/", "x"))
	requireKind(t, err, KindProxy)
}

func TestS10_TheTargetIsJudgedFirst(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(map[string][]string{"internal.example": {"8.8.8.8", "10.0.0.1"}, "public.example": {"8.8.8.8"}}))
	for name, c := range map[string]struct {
		host    string
		resolve bool
		kind    Kind // "" = passes
	}{
		"public address":         {"8.8.8.8", false, ""},
		"private address":        {"10.0.0.1", false, KindBlocked},
		"metadata address":       {"169.254.169.254", false, KindBlocked},
		"metadata name":          {"metadata.google.internal", false, KindBlocked},
		"loopback":               {"[::1]", false, KindBlocked},
		"mapped address":         {"①②⑦.⓪.⓪.①", false, KindRequest},
		"numeric address":        {"0x7f000001", false, KindRequest},
		"short address":          {"127.1", false, KindRequest},
		"upper case":             {"Metadata.Google.Internal", false, KindRequest},
		"mapped IPv6":            {"[::ffff:10.0.0.1]", false, KindBlocked},
		"name, not resolved":     {"internal.example", false, ""},
		"name, resolved":         {"internal.example", true, KindDNS},
		"public name, resolved":  {"public.example", true, ""},
		"absent name, resolved":  {"absent.example", true, KindDNS},
		"absent, left to others": {"absent.example", false, ""},
		"localhost":              {"localhost", false, KindBlocked},
		"within localhost":       {"a.localhost", false, KindBlocked},
		"with a dot at the end":  {"localhost.", false, KindBlocked},
		"address with a dot":     {"10.0.0.1.", false, KindRequest},
		"not quite localhost":    {"notlocalhost", false, ""},
	} {
		proxy := newTestProxy(t, "")
		client := newClient(t, newGuard(t, Profile{}, resolver), ClientOptions{Limits: plain, Proxy: &Proxy{URL: proxy.url, Profile: Profile{Loopback: true}, ResolveTarget: c.resolve}})
		body, err := do(t, client, post(t, "http://"+c.host+"/", "x"))
		if c.kind == "" {
			require.NoError(t, err, name)
			assert.Equal(t, "proxied", body)
			continue
		}
		requireKind(t, err, c.kind)
		assert.Equal(t, c.kind == KindBlocked || c.host == "internal.example", errors.Is(err, ErrDestinationBlocked), name)
		assert.Zero(t, proxy.connections.Load(), "%s: the proxy is not contacted", name)
	}
}

// A proxy connects to the Host of a plain request, so that has to be the host that was judged.
func TestS10_S26_TheHostCannotNameAnotherTargetToAProxy(t *testing.T) {
	t.Parallel()
	proxy := newTestProxy(t, "")
	c := newClient(t, newGuard(t, Profile{}, nil), ClientOptions{Limits: plain, Proxy: &Proxy{URL: proxy.url, Profile: Profile{Loopback: true}}})
	for host, passes := range map[string]bool{"": true, "hooks.example": true, "169.254.169.254": false, "hooks.example:80": false, "10.0.0.1/x": false} {
		req := post(t, "http://hooks.example/", "x")
		req.Host = host
		_, err := do(t, c, req)
		if passes {
			require.NoError(t, err, host)
			continue
		}
		requireKind(t, err, KindRequest)
	}
	assert.Equal(t, []string{"POST http://hooks.example/", "POST http://hooks.example/"}, proxy.seen())
}

func TestS10_TheProxyIsJudgedByItsOwnProfile(t *testing.T) {
	t.Parallel()
	proxy := newTestProxy(t, "")
	g := newGuard(t, Profile{Loopback: true}, nil)
	c := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{URL: proxy.url}})
	_, err := do(t, c, post(t, "http://127.0.0.1/", "x"))
	e := requireKind(t, err, KindProxy)
	require.NotErrorIs(t, err, ErrDestinationBlocked, "it is no verdict on the destination")
	assert.NotContains(t, err.Error(), proxy.url[len("http://"):])
	assert.Contains(t, e.Detail(), "loopback")
	assert.Zero(t, proxy.connections.Load())

	gone := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{URL: "http://127.0.0.1:" + freePort(t), Profile: Profile{Loopback: true}}})
	_, err = do(t, gone, post(t, "http://8.8.8.8/", "x"))
	requireKind(t, err, KindProxy)
	require.EqualError(t, err, "POST http://8.8.8.8: no connection through the proxy (connection refused)")
}

func TestS10_ProxyConnect(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}})
	proxy := newTestProxy(t, server.Listener.Addr().String())
	password := secret.Literal("s3cret-password")
	var err error
	g := newGuard(t, Profile{Loopback: true}, nil)
	o := ClientOptions{TLS: TLS{CAPEM: ca.pem}, Proxy: &Proxy{URL: proxy.url, User: "tocsin", Password: password, Profile: Profile{Loopback: true}}}
	c := newClient(t, g, o)
	for range 3 {
		_, err = do(t, c, post(t, server.URL, "x"))
		require.NoError(t, err)
	}
	address := server.Listener.Addr().String()
	assert.Equal(t, []string{"CONNECT " + address + " Basic dG9jc2luOnMzY3JldC1wYXNzd29yZA=="}, proxy.seen(), "one tunnel for all")
	assert.NotContains(t, fmt.Sprintf("%+v %#v", o, *o.Proxy), "s3cret")

	for status, reason := range map[int32]string{407: "it wants other credentials", 403: "it refused the destination", 502: "it refused the destination"} {
		proxy.status.Store(status)
		c.CloseIdleConnections()
		_, err = do(t, c, post(t, server.URL+"/s3cret", "x"))
		e := requireKind(t, err, KindProxy)
		assert.False(t, e.OutcomeUnknown)
		assert.Equal(t, "POST "+server.URL+": no connection through the proxy ("+reason+")", err.Error())
	}
}

// That the proxy wants to know us is no response of the destination, which would be final.
func TestS10_ProxyThatWantsOtherCredentials(t *testing.T) {
	t.Parallel()
	proxy := newTestProxy(t, "")
	proxy.status.Store(407)
	c := newClient(t, newGuard(t, Profile{}, nil), ClientOptions{Limits: plain, Proxy: &Proxy{URL: proxy.url, Profile: Profile{Loopback: true}}})
	for range 2 {
		_, err := do(t, c, post(t, "http://hooks.example/s3cret", "x"))
		e := requireKind(t, err, KindProxy)
		assert.False(t, e.OutcomeUnknown)
		assert.Equal(t, "POST http://hooks.example: no connection through the proxy (it wants other credentials)", err.Error())
	}
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(407) })
	resp, err := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain}).Do(t.Context(), post(t, server.URL, "x"))
	require.NoError(t, err, "without a proxy it is a status like others")
	closeQuietly(resp.Body)
}

// A password that was rotated is asked for again when the proxy refuses the old one, not a minute later.
func TestAPasswordTheProxyRefusesIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		proxy := newTestProxy(t, newRawServer(t, answering("no TLS")).url[len("http://"):])
		proxy.status.Store(407)
		var asked atomic.Int32
		password := secret.Func("vault", func(context.Context) ([]byte, error) { return fmt.Append(nil, asked.Add(1)), nil })
		o := Proxy{URL: proxy.url, User: "u", Password: password, Profile: Profile{Loopback: true}}
		c := newClient(t, newGuard(t, Profile{}, nil), ClientOptions{Limits: plain, Proxy: &o})
		_, err := do(t, c, post(t, scheme+"://hooks.example/", "x"))
		requireKind(t, err, KindProxy)
		proxy.status.Store(0)
		_, err = do(t, c, post(t, scheme+"://hooks.example/", "x"))
		var e *Error
		if errors.As(err, &e) { // the tunnel leads nowhere
			assert.NotEqual(t, KindProxy, e.Kind)
		}
		assert.EqualValues(t, 2, asked.Load(), scheme)
		seen := proxy.seen()
		require.Len(t, seen, 2)
		assert.Contains(t, seen[0], "Basic dTox") // u:1
		assert.Contains(t, seen[1], "Basic dToy") // u:2
	}
}

func TestS10_S48_ProxyPasswordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	proxy := newTestProxy(t, "")
	g := newGuard(t, Profile{}, nil)
	o := Proxy{URL: proxy.url, User: "tocsin", Password: secret.Env("TOCSIN_TEST_ABSENT"), Profile: Profile{Loopback: true}}
	_, err := do(t, newClient(t, g, ClientOptions{Limits: plain, Proxy: &o}), post(t, "http://8.8.8.8/", "x"))
	requireKind(t, err, KindProxy)
	require.ErrorContains(t, err, "its password could not be read")

	o.Password = secret.Func("vault", func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	c := newClient(t, g, ClientOptions{Limits: plain, Proxy: &o, Timeouts: Timeouts{Total: short}})
	_, err = do(t, c, post(t, "http://8.8.8.8/", "x"))
	requireKind(t, err, KindTotalTimeout)
	assert.Zero(t, proxy.connections.Load())

	o.Password = secret.Value{} // a user alone
	_, err = do(t, newClient(t, g, ClientOptions{Limits: plain, Proxy: &o}), post(t, "http://8.8.8.8/", "x"))
	require.NoError(t, err)
	assert.Equal(t, []string{"POST http://8.8.8.8/ Basic dG9jc2luOg=="}, proxy.seen())
}

func TestS10_S21_ProxyErrors(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Profile{}, nil)
	for name, p := range map[string]Proxy{
		"empty": {}, "https": {URL: "https://proxy.example"}, "socks": {URL: "socks5://proxy.example"}, "user info": {URL: "http://u:s3cret@proxy.example"},
		"path": {URL: "http://proxy.example/s3cret"}, "no scheme": {URL: "proxy.example:3128"}, "password alone": {URL: "http://proxy.example", Password: secret.Literal("s3cret")},
		"both": {URL: "http://proxy.example", FromEnvironment: true}, "profile": {URL: "http://proxy.example", Profile: Profile{Private: openable()[:1:1]}},
	} {
		if name == "profile" {
			p.Profile.Private[0] = globalUnicast
		}
		_, err := g.Client(ClientOptions{Proxy: &p})
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, name)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

// What a remedy says is accepted.
func TestRemediesOfProxyURLs(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Profile{}, nil)
	for raw, want := range map[string]string{
		"proxy.example:3128":            "netguard: Proxy.URL has no scheme; write it as http://host:port",
		"":                              "netguard: Proxy.URL is empty; write it as http://host:port",
		"socks5://proxy.example:1080":   "netguard: Proxy.URL has a scheme other than http; write it as http://host:port; proxies that speak SOCKS, or TLS with us, are not supported",
		"https://proxy.example:3128":    "netguard: Proxy.URL has a scheme other than http; write it as http://host:port; proxies that speak SOCKS, or TLS with us, are not supported",
		"http://proxy.example:3128/x":   "netguard: Proxy.URL has a path or query; write it as http://host:port",
		"http://u:s3cret@proxy.example": "netguard: Proxy.URL has user info; write it as http://host:port, and the credentials as User and Password",
		"http://127.1:3128":             "netguard: Proxy.URL has a numeric host that is not an IPv4 address of four decimal numbers; " + hostRemedy,
		"HTTP://Proxy_1.example:3128":   "",
		"http://proxy.example:3128/":    "",
		"http://[2001:db8::1]:3128":     "",
	} {
		c, err := g.Client(ClientOptions{Proxy: &Proxy{URL: raw}})
		if want == "" {
			require.NoError(t, err, raw)
			c.Close()
			continue
		}
		require.EqualError(t, err, want)
	}
}
