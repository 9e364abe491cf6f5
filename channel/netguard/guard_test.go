package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newGuard(t *testing.T, p Profile, r *net.Resolver) *Guard {
	t.Helper()
	g, err := New(p, r)
	require.NoError(t, err)
	return g
}

func newClient(t *testing.T, g *Guard, o ClientOptions) *Client {
	t.Helper()
	c, err := g.Client(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

var plain = Limits{AllowInsecureHTTP: true}

func post(t *testing.T, target, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	require.NoError(t, err)
	return req
}

// do sends one request and returns the body.
func do(t *testing.T, c *Client, req *http.Request) (string, error) {
	t.Helper()
	resp, err := c.RoundTrip(req)
	if err != nil {
		require.Nil(t, resp)
		return "", err
	}
	data, _, err := ReadBody(resp, 1<<10)
	return string(data), err
}

func requireKind(t *testing.T, err error, kind Kind) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, "%v", err)
	return e
}

// named replaces the host of a test server's URL.
func named(t *testing.T, target, host string) string {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}

// The name has a public address when the configuration is checked and another one when the connection is made.
func TestS2_RebindingIsBlocked(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	var questions atomic.Int32
	resolver := newResolver(t, func(string) ([]netip.Addr, bool) {
		if questions.Add(1) <= 2 { // A and AAAA of the check
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, true
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, true
	})
	target := named(t, server.URL, "rebind.example")
	g := newGuard(t, Profile{}, resolver)

	u, err := ParseURL("url", target, plain)
	require.NoError(t, err)
	require.NoError(t, g.CheckHost(u.Hostname()))
	addrs, err := resolver.LookupNetIP(t.Context(), "ip", u.Hostname())
	require.NoError(t, err)
	require.Equal(t, "93.184.216.34", addrs[0].Unmap().String(), "what a check before the connection sees")

	// The control: without a guard the request arrives at the loopback server.
	unguarded := &http.Transport{DialContext: (&net.Dialer{Resolver: resolver}).DialContext, DisableKeepAlives: true}
	resp, err := unguarded.RoundTrip(post(t, target, "x"))
	require.NoError(t, err)
	closeQuietly(resp.Body)
	require.EqualValues(t, 1, hits.Load())

	_, err = do(t, newClient(t, g, ClientOptions{Limits: plain}), post(t, target, "x"))
	requireKind(t, err, KindDNS)
	require.ErrorIs(t, err, ErrDestinationBlocked)
	require.EqualValues(t, 1, hits.Load(), "no request arrived")
}

func TestS2_EveryAddressIsJudged(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	t.Cleanup(server.Close)
	resolver := newResolver(t, fixedNames(map[string][]string{
		"mixed.example": {"169.254.169.254", "127.0.0.1"}, "bad.example": {"169.254.169.254", "10.0.0.1"},
	}))
	g := newGuard(t, Profile{Loopback: true}, resolver)
	c := newClient(t, g, ClientOptions{Limits: plain})
	body, err := do(t, c, post(t, named(t, server.URL, "mixed.example"), "x"))
	require.NoError(t, err, "the next address is tried")
	assert.Equal(t, "ok", body)
	_, err = do(t, c, post(t, named(t, server.URL, "bad.example"), "x"))
	require.ErrorIs(t, err, ErrDestinationBlocked)
	// One address refused by policy and one that is down: the second may come back, so it is no refusal.
	_, err = g.DialContext(t.Context(), "tcp", net.JoinHostPort("mixed.example", freePort(t)))
	require.NotErrorIs(t, err, ErrDestinationBlocked)
	requireKind(t, err, KindConnect)
}

// freePort returns a port nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	closeQuietly(l)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestS7_UnparsableAddressIsRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Profile{Loopback: true}, nil)
	for _, address := range []string{
		"", ":", ":80", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http", "127.1:80", "::1:80", "[::1]",
		"[::1%lo]:80", "[fe80::1%25lo]:80", "127.0.0.1:0", "\x00", "127.0.0.1:80\n", " 127.0.0.1:80", "[127.0.0.1]:80", "0x7f.1:80",
	} {
		err := g.Control(t.Context(), "tcp4", address, nil)
		require.ErrorIs(t, err, ErrDestinationBlocked, "%q", address)
	}
	require.NoError(t, g.Control(t.Context(), "tcp4", "127.0.0.1:80", nil))
}

func TestS8_OnlyTCP(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Profile{Loopback: true}, nil)
	for _, network := range []string{"", "tcp", "TCP4", "udp", "udp4", "udp6", "ip4:icmp", "unix", "unixgram", "unixpacket"} {
		require.ErrorIs(t, g.Control(t.Context(), network, "127.0.0.1:80", nil), ErrDestinationBlocked, network)
	}
	for _, network := range []string{"", "udp", "udp4", "unix", "ip4:icmp"} {
		_, err := g.DialContext(t.Context(), network, "127.0.0.1:80")
		require.ErrorIs(t, err, ErrDestinationBlocked, network)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { closeQuietly(l) })
	for _, network := range []string{"tcp", "tcp4"} {
		conn, err := g.DialContext(t.Context(), network, l.Addr().String())
		require.NoError(t, err)
		closeQuietly(conn)
	}
}

func TestS11_RefusalShowsTheConfiguredHostOnly(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(map[string][]string{"intranet.example": {"10.11.12.13"}}))
	g := newGuard(t, Profile{}, resolver)
	c := newClient(t, g, ClientOptions{Limits: plain})
	_, err := do(t, c, post(t, "http://intranet.example:8080/services/T0/s3cret?sig=s3cret", "x"))
	e := requireKind(t, err, KindDNS)
	var refusal *BlockedError
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "intranet.example", refusal.Host)
	assert.Equal(t, "POST http://intranet.example:8080: destination intranet.example is unknown or not allowed by the outbound policy", err.Error())
	assert.False(t, e.OutcomeUnknown)
	for _, shown := range []string{err.Error(), fmt.Sprintf("%+v %#v %q", err, err, err), fmt.Sprintf("%+v %#v", refusal, *refusal), fmt.Sprintf("%#v", struct{ hidden error }{err})} {
		assert.NotContains(t, shown, "10.11.12.13")
		assert.NotContains(t, shown, "private")
		assert.NotContains(t, shown, "s3cret")
	}
	assert.Equal(t, "tcp4 10.11.12.13:8080: private", e.Detail(), "the operator's log may name it")
	assert.Equal(t, e.Detail(), refusal.Detail())

	// Through what the standard library wraps around it.
	_, err = c.HTTPClient().Do(post(t, "http://intranet.example:8080/s3cret", "x"))
	var wrapped *url.Error
	require.ErrorAs(t, err, &wrapped)
	require.ErrorIs(t, err, ErrDestinationBlocked)
	safe := Classify(t.Context(), "POST", "http://intranet.example:8080", err, false)
	assert.NotContains(t, safe.Error(), "s3cret")
	require.ErrorIs(t, safe, ErrDestinationBlocked)
	require.ErrorIs(t, &net.OpError{Op: "dial", Err: err}, ErrDestinationBlocked)
	own := net.Dialer{ControlContext: g.Control}
	_, err = own.DialContext(t.Context(), "tcp", "127.0.0.1:80")
	require.ErrorIs(t, err, ErrDestinationBlocked, "as a hook of a host's own dialer")
	var direct *BlockedError
	require.ErrorAs(t, err, &direct)
	assert.Equal(t, "destination is not allowed by the outbound policy", direct.Error())
}

// Whoever may configure a destination, or a proxy, must not learn which internal names exist.
func TestS11_ABlockedNameLooksLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(map[string][]string{"wiki.example": {"10.11.12.13"}, "imds.example": {"169.254.169.254"}}))
	g := newGuard(t, Profile{}, resolver)
	direct := newClient(t, g, ClientOptions{Limits: plain})
	proxy := newTestProxy(t, "")
	proxied := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{URL: proxy.url, Profile: Profile{Loopback: true}, ResolveTarget: true}})
	for way, fail := range map[string]func(host string) error{
		"a request":          func(host string) error { _, err := do(t, direct, post(t, "http://"+host+"/", "x")); return err },
		"a request, proxied": func(host string) error { _, err := do(t, proxied, post(t, "http://"+host+"/", "x")); return err },
		"a request by TLS":   func(host string) error { _, err := do(t, direct, post(t, "https://"+host+"/", "x")); return err },
		"a request via proxy": func(host string) error {
			c := newClient(t, g, ClientOptions{Limits: plain, Proxy: &Proxy{URL: "http://" + host + ":3128"}})
			_, err := do(t, c, post(t, "http://93.184.216.34/", "x"))
			return err
		},
		"a connection": func(host string) error { _, err := g.DialContext(t.Context(), "tcp", host+":25"); return err },
	} {
		seen := func(host string) string {
			err := fail(host)
			require.Error(t, err)
			var e *Error
			require.ErrorAs(t, err, &e)
			var refusal *BlockedError
			if errors.As(err, &refusal) {
				require.Equal(t, unreachable(host), refusal.Error())
			}
			text := fmt.Sprintf("%v %+v %s %t %t %q", err, e, e.Kind, e.Timeout(), e.OutcomeUnknown, e.Target)
			return strings.ReplaceAll(text, host, "<host>")
		}
		unknown := seen("absent.example")
		assert.Equal(t, unknown, seen("wiki.example"), way)
		assert.Equal(t, unknown, seen("imds.example"), way)
	}
	assert.Zero(t, proxy.connections.Load(), "no target was passed on")
}

func TestS12_PolicyChangeClosesConnections(t *testing.T) {
	t.Parallel()
	var hits, open atomic.Int32
	hold, held := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
	}))
	closed := make(chan struct{}, 10)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
			closed <- struct{}{}
		default:
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	aConnectionCloses := func() {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			require.Fail(t, "the connection stays open")
		}
	}

	g := newGuard(t, Profile{Loopback: true}, nil)
	c := newClient(t, g, ClientOptions{Limits: plain})
	inUse := make(chan error, 1)
	go func() { _, err := do(t, c, post(t, server.URL+"/hold", "x")); inUse <- err }() //nolint:testifylint // they fail the test, not more
	<-held
	_, err := do(t, c, post(t, server.URL, "x"))
	require.NoError(t, err)
	require.EqualValues(t, 2, open.Load(), "one in use, one idle")

	require.Error(t, g.SetProfile(Profile{Private: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}))
	_, err = do(t, c, post(t, server.URL, "x"))
	require.NoError(t, err, "a bad profile changes nothing")

	require.NoError(t, g.SetProfile(Profile{}))
	aConnectionCloses()
	_, err = do(t, c, post(t, server.URL, "x"))
	require.ErrorIs(t, err, ErrDestinationBlocked)
	release()
	require.NoError(t, <-inUse, "a request on its way is not cut off")
	aConnectionCloses()
	require.EqualValues(t, 0, open.Load(), "its connection is not used again")
	require.EqualValues(t, 3, hits.Load())

	require.NoError(t, g.SetProfile(Profile{Loopback: true}))
	_, err = do(t, c, post(t, server.URL, "x"))
	require.NoError(t, err)
}

func TestS14_ResolvingCountsAsConnecting(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(map[string][]string{"silent.example": {""}}))
	g := newGuard(t, Profile{Loopback: true}, resolver)
	c := newClient(t, g, ClientOptions{Limits: plain, Timeouts: Timeouts{Connect: 100 * time.Millisecond}})
	start := time.Now()
	_, err := do(t, c, post(t, "http://silent.example/", "x"))
	e := requireKind(t, err, KindConnectTimeout)
	assert.Less(t, time.Since(start), 2*time.Second)
	assert.True(t, e.Timeout())
	assert.False(t, e.OutcomeUnknown)
}

func TestS29_S49_DialErrorsHaveKinds(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t, fixedNames(map[string][]string{"silent.example": {""}}))
	g := newGuard(t, Profile{Loopback: true}, resolver)
	_, err := g.DialContext(t.Context(), "tcp", "absent.example:25")
	e := requireKind(t, err, KindDNS)
	assert.Equal(t, "absent.example:25: destination absent.example is unknown or not allowed by the outbound policy", err.Error())
	assert.Equal(t, "there is no such host", e.Detail())
	assert.NotContains(t, e.Detail(), "127.0.0.1", "the resolver's address")

	address := net.JoinHostPort("127.0.0.1", freePort(t))
	_, err = g.DialContext(t.Context(), "tcp", address)
	e = requireKind(t, err, KindConnect)
	assert.Equal(t, address+": no connection (connection refused)", err.Error())
	assert.Equal(t, "tried "+address, e.Detail())
	require.NoError(t, errors.Unwrap(err))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = g.DialContext(ctx, "tcp", "silent.example:25")
	requireKind(t, err, KindTotalTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = g.DialContext(gone, "tcp", "silent.example:25")
	requireKind(t, err, KindCanceled)
	require.ErrorIs(t, err, context.Canceled)

	_, err = g.DialContext(t.Context(), "tcp", "no port")
	require.Error(t, err)
}
