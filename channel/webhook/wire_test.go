package webhook_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// answerRaw starts a receiver that reads each request, writes raw and closes the connection.
func answerRaw(t *testing.T, raw string) string {
	t.Helper()
	return serveRaw(t, func(_ context.Context, _ int, conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) == nil {
			_, _ = io.WriteString(conn, raw)
		}
	})
}

// S32: every kind of answer that is not proper HTTP ends in time, as a failure of which one can tell what it was, with
// its connection closed.
func TestS32_BadAnswersFailInTime(t *testing.T) {
	t.Parallel()
	const eof, protocol = netguard.KindEOF, netguard.KindProtocol
	for name, tc := range map[string]struct {
		raw    string
		kind   webhook.Kind
		status int
	}{
		"nothing":               {"", eof, 0},
		"half a status line":    {"HTTP/1.1 2", protocol, 0},
		"half a header":         {"HTTP/1.1 200 OK\r\nContent-Le", protocol, 0},
		"half a body":           {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", eof, 200},
		"half a chunk":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", eof, 200},
		"HTTP/0.9":              {"<html>it works</html>\r\n\r\n", protocol, 0},
		"a mail server":         {"220 mail.example ESMTP\r\n", protocol, 0},
		"binary":                {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", protocol, 0},
		"status 099":            {"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", protocol, 0},
		"status 600":            {"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n", protocol, 0},
		"status 999":            {"HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n", protocol, 0},
		"switching protocols":   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", protocol, 0},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", protocol, 0},
		"negative length":       {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", protocol, 0},
		"a bad chunk":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", protocol, 200},
		"a flood of 103":        {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", 4000), protocol, 0},
		"a huge header":         {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 128<<10) + "\r\n\r\n", protocol, 0},
		"many headers":          {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 32<<10) + "\r\n", protocol, 0},
		"a line feed in a name": {"HTTP/1.1 200 OK\r\nX\nY: z\r\n\r\n", protocol, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook := newChannel(t, webhook.Config{URL: answerRaw(t, tc.raw) + "/T0P-S3CRET", Interpret: wantsAll})
			receipt, err := hook.Send(within(t, long), sample())
			e := failure(t, err)
			assert.Equal(t, tc.kind, e.Kind)
			assert.Equal(t, tc.status, e.Status)
			assert.Equal(t, tc.status, receipt.Status)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.True(t, receipt.OutcomeUnknown, "S35: the request was written")
			assert.NotNil(t, receipt.Request)
		})
	}
}

// A receiver that answers 2xx has taken the event, whatever becomes of the rest of its response: sent again it would
// come twice.
func TestASuccessNeedNotComeToItsEnd(t *testing.T) {
	t.Parallel()
	endless := serveRaw(t, func(ctx context.Context, _ int, conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nbegun")
			<-ctx.Done()
		}
	})
	for name, target := range map[string]string{
		"half a body":  answerRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
		"half a chunk": answerRaw(t, "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
		"a bad chunk":  answerRaw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		"no end":       endless,
	} {
		c := webhook.Config{URL: target, Timeouts: netguard.Timeouts{Total: short}}
		receipt, err := newChannel(t, c).Send(t.Context(), sample())
		require.NoError(t, err, name)
		assert.False(t, receipt.OutcomeUnknown, name)
		assert.True(t, receipt.Response.Truncated, name)

		c.Interpret = wantsAll
		receipt, err = newChannel(t, c).Send(t.Context(), sample())
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, "%s: nobody knows, whatever it reads", name)
		assert.True(t, receipt.OutcomeUnknown, name)

		c.Interpret = func(_ webhook.Response, v retry.Verdict) webhook.Reading { return webhook.Reading{Verdict: v} }
		_, err = newChannel(t, c).Send(t.Context(), sample())
		require.NoError(t, err, "%s: it need not know more", name)
	}
}

// The status decides when the response is a refusal, even when it is not complete.
func TestS32_RefusalWithHalfABody(t *testing.T) {
	t.Parallel()
	hook := newChannel(t, webhook.Config{URL: answerRaw(t, "HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nhalf")})
	receipt, err := hook.Send(t.Context(), sample())
	assert.Equal(t, webhook.KindStatus, failure(t, err).Kind)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
	assert.Equal(t, "400 Bad Request", receipt.Response.Start, "not in the receiver's words")
	assert.Equal(t, "half", string(receipt.Response.Body))
	assert.True(t, receipt.Response.Truncated)
	assert.False(t, receipt.OutcomeUnknown)
}

func TestEarlyAnswerIsTaken(t *testing.T) {
	t.Parallel()
	target := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn)) // and not the body
		_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	d := largeSample(t)
	_, err := newChannel(t, webhook.Config{URL: target}).Send(within(t, long), d)
	assert.Equal(t, 401, failure(t, err).Status)
}

func TestS31_ResponseBodyIsCapped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size, limit, kept int
		truncated         bool
	}{
		"empty":                 {0, 0, 0, false},
		"at the default":        {64 << 10, 0, 64 << 10, false},
		"over the default":      {64<<10 + 1, 0, 64 << 10, true},
		"far over the default":  {8 << 20, 0, 64 << 10, true},
		"at a small limit":      {10, 10, 10, false},
		"over a small limit":    {11, 10, 10, true},
		"at a limit of 1 MiB":   {1 << 20, 1 << 20, 1 << 20, false},
		"over a limit of 1 MiB": {1<<20 + 1, 1 << 20, 1 << 20, true},
	} {
		for _, announced := range []bool{true, false} {
			t.Run(name+", announced "+strconv.FormatBool(announced), func(t *testing.T) {
				t.Parallel()
				target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					if announced {
						w.Header().Set("Content-Length", strconv.Itoa(tc.size))
					}
					w.WriteHeader(http.StatusOK)
					_ = http.NewResponseController(w).Flush()
					_, _ = w.Write(bytes.Repeat([]byte("x"), tc.size))
				})
				receipt, err := newChannel(t, webhook.Config{URL: target, MaxResponse: tc.limit}).Send(t.Context(), sample())
				require.NoError(t, err)
				assert.Len(t, receipt.Response.Body, tc.kept)
				assert.Equal(t, tc.truncated, receipt.Response.Truncated)
			})
		}
	}
}

func TestS31_EndlessAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	receipt, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Len(t, receipt.Response.Body, 64<<10)
	assert.True(t, receipt.Response.Truncated)
	select {
	case <-gone:
	case <-within(t, long).Done():
		t.Fatal("the connection is still open")
	}
}

// A response that unpacks to 200 MiB, though nobody asked for compression, is decoded as far as it is kept. Not
// parallel: it measures the allocations of the process.
func TestS31_CompressedAnswerIsDecodedOnlyAsFarAsItIsKept(t *testing.T) {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := w.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bomb := strings.Repeat(member.String(), 200) // a gzip file may consist of several members (RFC 1952 section 2.2)

	hook := newChannel(t, webhook.Config{URL: answerWith(t, 200, http.Header{"Content-Encoding": {"gzip"}}, bomb)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	receipt, err := hook.Send(within(t, long), sample())
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes allocated, those of the server included")
	assert.Len(t, receipt.Response.Body, 64<<10)
	assert.True(t, receipt.Response.Truncated)

	hook = newChannel(t, webhook.Config{URL: answerWith(t, 200, http.Header{"Content-Encoding": {"Identity"}}, "plain")})
	receipt, err = hook.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, "plain", string(receipt.Response.Body))
}

// A receiver that closes pooled connections does so at any moment of the next attempt. Whatever net/http makes of it,
// the connection broke; and only the attempts whose request was sent have an unknown outcome.
func TestS27_ConnectionClosedWhileIdle(t *testing.T) {
	t.Parallel()
	target := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	hook := newChannel(t, webhook.Config{URL: target})
	for range 2000 {
		receipt, err := hook.Send(t.Context(), sample())
		if err != nil {
			require.Contains(t, []webhook.Kind{netguard.KindEOF, netguard.KindReset}, failure(t, err).Kind)
			require.NotNil(t, receipt.Request)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const senders, deliveries = 8, 1000
	for name, tc := range map[string]struct {
		body  string
		limit int
	}{
		"no body":                        {"", 0},
		"small body":                     {`{"ok":true}`, 0},
		"body of 64 KiB, 1 byte is kept": {strings.Repeat("x", 64<<10), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var together sync.WaitGroup
			together.Add(senders)
			var arrived atomic.Int64
			target, accepted := serveCounted(t, func(w http.ResponseWriter, _ *http.Request) {
				if arrived.Add(1) <= senders {
					together.Done() // the first ones meet here, so that each sender has its connection
					together.Wait()
				}
				_, _ = io.WriteString(w, tc.body)
			})
			hook := newChannel(t, webhook.Config{URL: target, MaxResponse: tc.limit})
			var wg sync.WaitGroup
			for range senders {
				wg.Go(func() {
					for range deliveries / senders {
						_, err := hook.Send(t.Context(), sample())
						assert.NoError(t, err)
					}
				})
			}
			wg.Wait()
			// On a processor that is overloaded net/http gives up a connection now and then; the benchmark counts
			// exactly.
			assert.LessOrEqual(t, accepted()-senders, int64(deliveries/50), "new connections")
		})
	}
}

// net/http resends a request with an Idempotency-Key on its own when a pooled connection breaks, unless it cannot
// rewind the body. Whoever counts attempts must know of every one.
func TestS27_NoSilentResend(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 1)
	var requests atomic.Int64
	target := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) {
		r := bufio.NewReader(conn)
		for n := 1; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, err = io.Copy(io.Discard, req.Body)
			assert.NoError(t, err)
			assert.Equal(t, "1", req.Header.Get("Idempotency-Key"))
			requests.Add(1)
			ids <- req.Header.Get("webhook-id")
			if n == 2 {
				return // the second request of each connection gets no response
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	hook := newChannel(t, webhook.Config{URL: target, Headers: []webhook.Header{{Name: "Idempotency-Key", Value: "1"}}})
	d := sample()
	for attempt := 1; attempt <= 20; attempt++ {
		d.Attempt = attempt
		receipt, err := hook.Send(within(t, long), d)
		assert.Equal(t, d.ID(), <-ids, "every attempt carries the delivery's id")
		assert.Equal(t, int64(attempt), requests.Load())
		if attempt%2 == 1 {
			require.NoError(t, err)
			assert.Equal(t, d.ID(), receipt.Request.Header.Get("webhook-id"))
			assert.Equal(t, "1", receipt.Request.Header.Get("Idempotency-Key"))
			continue
		}
		assert.Contains(t, []webhook.Kind{netguard.KindEOF, netguard.KindReset}, failure(t, err).Kind)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
		assert.True(t, receipt.OutcomeUnknown)
		assert.ErrorContains(t, err, "its outcome is unknown")
	}
}

func TestSendFailsAfterClose(t *testing.T) {
	t.Parallel()
	hook := newChannel(t, webhook.Config{URL: answerWith(t, 204, nil, "")})
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	require.NoError(t, hook.Close())
	receipt, err := hook.Send(t.Context(), sample())
	assert.ErrorContains(t, err, "closed")
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	shown(t, receipt)
}
