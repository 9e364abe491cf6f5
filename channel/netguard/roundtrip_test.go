package netguard

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pathServer answers by path: at once, with a body that does not end, or not at all.
func pathServer(t *testing.T) *rawServer {
	t.Helper()
	return newRawServer(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			switch req.URL.Path {
			case "/ok":
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			case "/begun":
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")
				untilClosed(conn)
			case "/silent":
				untilClosed(conn)
			}
		}
	})
}

// What happened to one request must not show in another that uses the connection it left: time limits, the caller's
// end, whether anything was written. Run with -race this also shows that nobody still looks at what is used again.
func TestExchangesDoNotShareTheirFate(t *testing.T) {
	t.Parallel()
	server := pathServer(t)
	g := newGuard(t, Profile{Loopback: true}, newResolver(t, fixedNames(map[string][]string{"unresolved.example": {""}})))
	c := newClient(t, g, ClientOptions{Limits: plain, Timeouts: Timeouts{Header: short, Total: 2 * short}})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				want := map[string]Kind{"/ok": "", "/silent": KindHeaderTimeout, "/begun": KindBodyTimeout}
				path := "/ok"
				switch i {
				case 10:
					path = "/silent"
				case 20:
					path = "/begun"
				case 30:
					path, want["/silent"] = "/silent", KindCanceled
					defer time.AfterFunc(short/4, cancel).Stop()
				}
				_, err := do(t, c, post(t, server.url+path, "x").WithContext(ctx))
				cancel()
				if want[path] == "" {
					assert.NoError(t, err)
					continue
				}
				var e *Error
				if assert.ErrorAs(t, err, &e) {
					assert.Equal(t, want[path], e.Kind)
					assert.Equal(t, i != 20, e.OutcomeUnknown)
				}
			}
		})
	}
	senders.Wait()
	for range 4 {
		_, err := do(t, c, post(t, server.url+"/ok", "x"))
		require.NoError(t, err)
		_, err = do(t, c, post(t, "http://unresolved.example/", "x"))
		assert.False(t, requireKind(t, err, KindTotalTimeout).OutcomeUnknown, "nothing was written for this one")
	}
}

func TestClosingABodyTwiceEndsOneExchange(t *testing.T) {
	t.Parallel()
	server := pathServer(t)
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain, Timeouts: Timeouts{Header: short, Total: 3 * short}})
	for range 4 {
		_, err := do(t, c, post(t, server.url+"/ok", "x"))
		require.NoError(t, err)
		first, err := c.RoundTrip(post(t, server.url+"/ok", "x"))
		require.NoError(t, err)
		_, _, err = ReadBody(first, 10)
		require.NoError(t, err)
		second, err := c.RoundTrip(post(t, server.url+"/begun", "x"))
		require.NoError(t, err)
		require.NoError(t, first.Body.Close())
		_, err = first.Body.Read(make([]byte, 1))
		require.Error(t, err)
		_, err = do(t, c, post(t, server.url+"/silent", "x"))
		requireKind(t, err, KindHeaderTimeout)
		data, _, err := ReadBody(second, 10)
		requireKind(t, err, KindBodyTimeout)
		assert.Equal(t, "begun", string(data))
	}
}

func TestNothingIsSentForACallerThatHasGone(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	server := newServer(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		_, err := do(t, c, post(t, server.URL, "x").WithContext(ctx))
		assert.False(t, requireKind(t, err, KindCanceled).OutcomeUnknown)
	}
	assert.Zero(t, hits.Load())
}

// What a server sends beyond its response is neither taken for the next one nor written to the log, where net/http
// would quote it. Not parallel, because the log is the process's.
func TestS32_S49_NothingBeyondTheAnswerIsUsedOrLogged(t *testing.T) {
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(before) })
	server := newRawServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ns3cret"))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for range 3 {
		body, err := do(t, c, post(t, server.url, "x"))
		require.NoError(t, err)
		assert.Equal(t, "ok", body)
	}
	assert.EqualValues(t, 3, server.connections.Load(), "such a connection is not used again")
	assert.Empty(t, logged.String())
}
