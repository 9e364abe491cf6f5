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
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

func loopbackGuard(t *testing.T) *Guard {
	t.Helper()
	return newGuard(t, Profile{Loopback: true}, nil)
}

func TestS13_PoolsAreSharedByEqualSettingsOnly(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	g := loopbackGuard(t)
	send := func(g *Guard, o ClientOptions) int32 {
		o.Limits.AllowInsecureHTTP = true
		_, err := do(t, newClient(t, g, o), post(t, server.URL, "x"))
		require.NoError(t, err)
		return connections.Load()
	}
	require.EqualValues(t, 1, send(g, ClientOptions{}))
	require.EqualValues(t, 1, send(g, ClientOptions{}), "equal")
	require.EqualValues(t, 1, send(g, ClientOptions{Limits: Limits{MaxHeaders: 3}, Timeouts: Timeouts{Total: 1e9}}), "equal for connections")
	require.EqualValues(t, 2, send(g, ClientOptions{TLS: TLS{InsecureSkipVerify: true}}), "other TLS")
	require.EqualValues(t, 3, send(g, ClientOptions{TLS: TLS{ServerName: "a.example"}}))
	require.EqualValues(t, 4, send(g, ClientOptions{Timeouts: Timeouts{Header: 1e9}}))
	require.EqualValues(t, 5, send(loopbackGuard(t), ClientOptions{}), "other guard")
	require.EqualValues(t, 5, send(g, ClientOptions{}))
}

func TestS13_CloseFreesThePoolWithItsLastClient(t *testing.T) {
	t.Parallel()
	server := newServer(t, func(http.ResponseWriter, *http.Request) {})
	g := loopbackGuard(t)
	a, b := newClient(t, g, ClientOptions{Limits: plain}), newClient(t, g, ClientOptions{Limits: plain})
	require.Len(t, g.pools, 1)
	a.Close()
	a.Close()
	require.Len(t, g.pools, 1)
	_, err := do(t, a, post(t, server.URL, "x"))
	requireKind(t, err, KindCanceled)
	_, err = do(t, b, post(t, server.URL, "x"))
	require.NoError(t, err)
	b.CloseIdleConnections()
	b.Close()
	require.Empty(t, g.pools)
}

func TestS3_ZeroGuardIsPublicOnly(t *testing.T) {
	t.Parallel()
	var g Guard
	require.NoError(t, g.CheckHost("8.8.8.8"))
	assert.Equal(t, Profile{}, g.Profile())
	_, err := g.DialContext(t.Context(), "tcp", "127.0.0.1:80")
	require.ErrorIs(t, err, ErrDestinationBlocked)
	c, err := g.Client(ClientOptions{Limits: plain, TLS: TLS{ClientCertificate: &ClientCertificate{}}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = do(t, c, post(t, "http://[::1]:80/", "x"))
	require.ErrorIs(t, err, ErrDestinationBlocked)
}

func TestS9_S23_S29_S36_ClientOptionErrors(t *testing.T) {
	t.Parallel()
	g := loopbackGuard(t)
	for field, o := range map[string]ClientOptions{
		"Limits.Ports[0]": {Limits: Limits{Ports: []int{0}}}, "Limits.Methods[0]": {Limits: Limits{Methods: []string{"get"}}},
		"Limits.MaxHeaders": {Limits: Limits{MaxHeaders: -1}},
		"Timeouts.Connect":  {Timeouts: Timeouts{Connect: -1}}, "Timeouts.TLS": {Timeouts: Timeouts{TLS: -1}},
		"Timeouts.Header": {Timeouts: Timeouts{Header: -1}}, "Timeouts.Total": {Timeouts: Timeouts{Total: -1}},
		"TLS.MinVersion": {TLS: TLS{MinVersion: 1}}, "TLS.CAPEM": {TLS: TLS{CAPEM: []byte("x")}}, "TLS.ServerName": {TLS: TLS{ServerName: "-"}},
		"Proxy": {Proxy: &Proxy{FromEnvironment: true, User: "jo"}}, "Proxy.URL": {Proxy: &Proxy{}},
		"Proxy.User":               {Proxy: &Proxy{URL: "http://p.example:1", Password: secret.Literal("x")}},
		"Proxy.Profile.Private[0]": {Proxy: &Proxy{URL: "http://p.example:1", Profile: Profile{Private: make([]netip.Prefix, 1)}}},
	} {
		_, err := g.Client(o)
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, field)
		assert.Equal(t, field, e.Path)
		assert.Equal(t, "netguard", e.Package)
	}
}

func TestEveryMistakeOfAClientIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loopbackGuard(t).Client(ClientOptions{
		Limits:   Limits{Ports: []int{0, 1, 65536}, Methods: []string{"get"}, MaxHeaders: -1},
		TLS:      TLS{MinVersion: tls.VersionTLS11, CAPEM: []byte("none"), ServerName: "a..b"},
		Proxy:    &Proxy{URL: "https://proxy.example", Password: secret.Literal("x"), Profile: Profile{Private: make([]netip.Prefix, 2)}},
		Timeouts: Timeouts{Connect: -1, Total: -1},
	})
	var paths []string
	_ = channel.EditConfigErrors(err, func(e *channel.ConfigError) { paths = append(paths, e.Package+" "+e.Path+" "+string(e.Code)) })
	assert.Equal(t, []string{
		"netguard Limits.Ports[0] range", "netguard Limits.Ports[2] range", "netguard Limits.Methods[0] unknown", "netguard Limits.MaxHeaders range",
		"netguard TLS.MinVersion range", "netguard TLS.CAPEM invalid", "netguard TLS.ServerName invalid",
		"netguard Proxy.Profile.Private[0] invalid", "netguard Proxy.Profile.Private[1] invalid", "netguard Proxy.URL invalid", "netguard Proxy.User missing",
		"netguard Timeouts.Connect range", "netguard Timeouts.Total range",
	}, paths)
}

func TestS22_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	elsewhere := newServer(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/s3cret")
			w.WriteHeader(status)
		})
		c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
		for name, send := range map[string]func(*http.Request) (*http.Response, error){"RoundTrip": c.RoundTrip, "HTTPClient": c.HTTPClient().Do} {
			resp, err := send(post(t, server.URL, "x"))
			require.NoError(t, err, name)
			closeQuietly(resp.Body)
			assert.Equal(t, status, resp.StatusCode, name)
			assert.Equal(t, elsewhere.URL+"/s3cret", resp.Header.Get("Location"), name)
		}
	}
	require.Zero(t, hits.Load())
}

func TestS28_NoCookiesNoRefererOwnUserAgent(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 4)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x"})
	})
	g := loopbackGuard(t)
	c, own := newClient(t, g, ClientOptions{Limits: plain}), newClient(t, g, ClientOptions{Limits: plain, UserAgent: "Product/2.1"})
	for i, c := range []*Client{c, c, own} {
		req := post(t, server.URL, "x")
		_, err := do(t, c, req)
		require.NoError(t, err)
		assert.Empty(t, req.Header, "the request is not modified")
		h := <-seen
		assert.Empty(t, h.Values("Cookie"))
		assert.Empty(t, h.Values("Referer"))
		assert.Equal(t, []string{DefaultUserAgent, DefaultUserAgent, "Product/2.1"}[i], h.Get("User-Agent"))
	}
	req := post(t, server.URL, "x")
	req.Header.Set("User-Agent", "Mine/1")
	_, err := do(t, c, req)
	require.NoError(t, err)
	assert.Equal(t, []string{"Mine/1"}, (<-seen)["User-Agent"])
	req = post(t, server.URL, "x")
	req.Header = nil
	_, err = do(t, c, req)
	require.NoError(t, err)
	assert.Equal(t, DefaultUserAgent, (<-seen).Get("User-Agent"))
}

func TestS19_S23_LimitsHoldForEveryRequest(t *testing.T) {
	t.Parallel()
	var whole atomic.Int32
	server := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			whole.Add(1)
		}
	})
	g := loopbackGuard(t)
	for name, c := range map[string]struct {
		limits Limits
		edit   func(*http.Request)
		kind   Kind
		what   string
	}{
		"scheme":     {Limits{}, nil, KindBlocked, "scheme http"},
		"port":       {Limits{AllowInsecureHTTP: true, Ports: []int{80}}, nil, KindBlocked, "port "},
		"named port": {Limits{AllowInsecureHTTP: true, NoExplicitPort: true}, nil, KindBlocked, "port "},
		"method":     {plain, func(r *http.Request) { r.Method = "GET" }, KindBlocked, "method GET"},
		"no method":  {plain, func(r *http.Request) { r.Method = "" }, KindBlocked, "method "},
		"odd method": {plain, func(r *http.Request) { r.Method = "PO\r\nST" }, KindBlocked, "method PO??ST"},
		"user info":  {plain, func(r *http.Request) { r.URL.User = url.User("s3cret") }, KindRequest, ""},
		"length":     {plain, func(r *http.Request) { r.ContentLength = 7 }, KindRequest, ""},
		"no host":    {plain, func(r *http.Request) { r.URL.Host = "" }, KindRequest, ""},
		"no URL":     {plain, func(r *http.Request) { r.URL = nil }, KindRequest, ""},
		"header":     {plain, func(r *http.Request) { r.Header.Set("X", "a\r\nb: s3cret") }, KindRequest, ""},
		"name":       {plain, func(r *http.Request) { r.Header["a b"] = []string{"s3cret"} }, KindRequest, ""},
	} {
		req := post(t, server.URL+"/s3cret", "x")
		if c.edit != nil {
			c.edit(req)
		}
		_, err := do(t, newClient(t, g, ClientOptions{Limits: c.limits}), req)
		requireKind(t, err, c.kind)
		assert.NotContains(t, err.Error(), "s3cret", name)
		if c.what != "" {
			var refusal *BlockedError
			require.ErrorAs(t, err, &refusal, name)
			assert.Contains(t, refusal.What, c.what, name)
			assert.Equal(t, "127.0.0.1", refusal.Host)
		}
	}
	assert.Zero(t, whole.Load(), "no request arrived")
}

// The server answers the first request of a connection and drops it at the second: what arrives is what was attempted.
func TestS27_NoSilentSecondRequest(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*http.Request){
		"plain":                 func(*http.Request) {},
		"idempotency key":       func(r *http.Request) { r.Header.Set("Idempotency-Key", "1") },
		"other idempotency key": func(r *http.Request) { r.Header.Set("X-Idempotency-Key", "1") },
		"idempotency key, no body": func(r *http.Request) {
			r.Header.Set("Idempotency-Key", "1")
			r.Method = "DELETE"
			r.Body, r.GetBody, r.ContentLength = nil, nil, 0
		},
		"idempotency key, NoBody": func(r *http.Request) {
			r.Header.Set("Idempotency-Key", "1")
			r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
		},
		"idempotency key on a PATCH": func(r *http.Request) { r.Header.Set("Idempotency-Key", "1"); r.Method = "PATCH" },
		"GET":                        func(r *http.Request) { r.Method, r.Body, r.GetBody, r.ContentLength = "GET", nil, nil, 0 },
		"GET with NoBody":            func(r *http.Request) { r.Method, r.Body, r.GetBody, r.ContentLength = "GET", http.NoBody, nil, 0 },
		"GET with a body":            func(r *http.Request) { r.Method = "GET" },
	} {
		var requests atomic.Int32
		server := newRawServer(t, func(conn net.Conn) {
			reader := bufio.NewReader(conn)
			for n := 1; readRequest(reader); n++ {
				requests.Add(1)
				if n == 2 {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		})
		c := newClient(t, loopbackGuard(t), ClientOptions{Limits: Limits{AllowInsecureHTTP: true, Methods: []string{"GET", "POST", "PATCH", "DELETE"}}})
		attempts, failed := 0, 0
		for range 10 {
			req := post(t, server.url, "x")
			edit(req)
			attempts++
			if _, err := do(t, c, req); err != nil {
				failed++
				var e *Error
				require.ErrorAs(t, err, &e, name)
				assert.Contains(t, []Kind{KindEOF, KindReset}, e.Kind, name)
				assert.True(t, e.OutcomeUnknown, name)
				assert.ErrorContains(t, err, "outcome is unknown")
			}
		}
		assert.EqualValues(t, attempts, requests.Load(), name)
		assert.Equal(t, 5, failed, name)
	}
}

func TestS35_OutcomeIsKnownUntilTheRequestIsWritten(t *testing.T) {
	t.Parallel()
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	_, err := do(t, c, post(t, "http://127.0.0.1:"+freePort(t), "x"))
	assert.False(t, requireKind(t, err, KindConnect).OutcomeUnknown)

	// The server resets the connection while a large body is still being written: the receiver cannot have it.
	server := newRawServer(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 1<<10))
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	_, err = do(t, c, post(t, server.url, strings.Repeat("x", 16<<20)))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Contains(t, []Kind{KindReset, KindEOF}, e.Kind)
	assert.False(t, e.OutcomeUnknown)
}

func TestS49_ErrorsShowOriginOnly(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(nil))
	c := newClient(t, newGuard(t, Profile{Loopback: true}, resolver), ClientOptions{Limits: plain})
	garbage := newRawServer(t, answering("s3cret-echo is not HTTP\r\n\r\n"))
	eof := newRawServer(t, func(conn net.Conn) { readRequest(bufio.NewReader(conn)) })
	for target, kind := range map[string]Kind{
		"http://absent.example:8080": KindDNS, "http://127.0.0.1:" + freePort(t): KindConnect, garbage.url: KindProtocol, eof.url: KindEOF, "http://10.0.0.1": KindBlocked,
	} {
		_, err := do(t, c, post(t, target+"/services/s3cret-path?t=s3cret-query", "s3cret-body"))
		e := requireKind(t, err, kind)
		assert.True(t, strings.HasPrefix(err.Error(), "POST "+target+": "), err)
		for _, shown := range []string{err.Error(), e.Detail(), fmt.Sprintf("%+v %#v %#v", err, err, *e), fmt.Sprintf("%#v", struct{ hidden error }{err})} {
			assert.NotContains(t, shown, "s3cret")
		}
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			assert.NotContains(t, inner.Error(), "s3cret")
			var op *net.OpError
			assert.NotErrorAs(t, inner, &op, "the original cannot be reached")
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	g := loopbackGuard(t)
	c := newClient(t, g, ClientOptions{Limits: plain})
	var senders sync.WaitGroup
	for i := range 16 {
		senders.Go(func() {
			for j := range 20 {
				body := fmt.Sprint(i, j)
				got, err := do(t, c, post(t, server.URL, body))
				assert.NoError(t, err)
				assert.Equal(t, body, got)
				if i == 0 {
					assert.NoError(t, g.SetProfile(Profile{Loopback: true}))
				}
			}
		})
	}
	senders.Wait()
}

func TestCanceledByTheCaller(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	server := newRawServer(t, func(conn net.Conn) {
		readRequest(bufio.NewReader(conn))
		close(entered)
		untilClosed(conn)
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	_, err := do(t, c, post(t, server.url, "x").WithContext(ctx))
	e := requireKind(t, err, KindCanceled)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, e.OutcomeUnknown)
	assert.False(t, e.Timeout())
}
