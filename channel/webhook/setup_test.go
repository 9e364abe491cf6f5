package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// roleVariable gives a child process of the tests another task than to run them all.
const roleVariable = "WEBHOOK_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "receiver" {
		receive(os.Stdin, os.Stdout)
		return
	}
	goleak.VerifyTestMain(m)
}

// sample is a realistic delivery.
func sample() channel.Delivery {
	e, _ := event.Sample(event.TypeRequestApproved)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

// guardOf makes a guard that allows loopback. A nil resolver is the system's.
func guardOf(t testing.TB, r *net.Resolver) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(netguard.Profile{Loopback: true}, r)
	require.NoError(t, err)
	return g
}

// newChannel makes a channel that is closed with the test. Without a guard in c it may connect to this machine, and it
// may do so without TLS.
func newChannel(t testing.TB, c webhook.Config) *webhook.Channel {
	t.Helper()
	if c.Guard == nil {
		c.Guard = guardOf(t, nil)
	}
	c.Limits.AllowInsecureHTTP = true
	hook, err := webhook.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	return hook
}

// serve starts a receiver on loopback and returns its URL. Connections are closed with the test.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// serveCounted is serve, with a function that says how many connections were accepted.
func serveCounted(t testing.TB, h http.HandlerFunc) (target string, accepted func() int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL, n.Load
}

// answerWith starts a receiver that gives every request the same answer.
func answerWith(t testing.TB, status int, header http.Header, body string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// serveRaw starts a receiver below HTTP and returns its URL. talk gets each connection with its number from 1 on, and a
// context that is done at the end of the test; the connection is closed after it.
func serveRaw(t testing.TB, talk func(ctx context.Context, n int, conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				talk(ctx, n, conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// readRequest reads one request with its body.
func readRequest(r *bufio.Reader) error {
	req, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

// within returns a context with a timeout that ends with the test.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// failure returns err as the channel's own error.
func failure(t testing.TB, err error) *webhook.Error {
	t.Helper()
	e, ok := errors.AsType[*webhook.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

// justified is a delivery with a text of anybody's in it.
func justified(t testing.TB, text string) channel.Delivery {
	t.Helper()
	request, err := event.Decode[event.RequestApproved](sample().Event)
	require.NoError(t, err)
	request.Justification, request.Requester.Name = text, text
	return channel.Delivery{Event: event.Must(request, event.Meta{}), Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

// hostile are texts that would leave their place if they were written as they are.
func hostile() []string {
	return []string{
		"", `"`, `\`, `x\`, `","admin":true,"x":"`, `"},{"`, "line\nfeed", "\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1\r\n", "a\r\n b",
		"../../admin", "..", ".", "%2e%2e", "%2f..%2f", "/", "//evil.example/", `\\evil.example`, "@evil.example", ":8080",
		"?x=1", "a&b=c;d", "#fragment", "{{data.id}}", "%%User%%", "\x00\x1b[31m\x7f", "\u2028\u202e\u0085", "é𝄞", "null", "1e999",
		strings.Repeat("long ", 2000),
	}
}

// compile compiles a template.
func compile(t testing.TB, mode template.Mode, source string) *template.Template {
	t.Helper()
	tpl, err := template.Compile(source, template.Options{Mode: mode})
	require.NoError(t, err)
	return tpl
}
