package netguard

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forEver writes the beginning and then the same chunk until the other side goes away.
func forEver(beginning, chunk string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(bufio.NewReader(conn))
		_, err := io.WriteString(conn, beginning)
		block := []byte(strings.Repeat(chunk, 1+4096/max(1, len(chunk))))
		for err == nil {
			_, err = conn.Write(block)
		}
	}
}

func TestS32_AnswersThatAreNotHTTP(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		serve func(net.Conn)
		kinds []Kind
	}{
		"switching protocols":       {answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), []Kind{KindProtocol}},
		"status 099":                {answering("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"), []Kind{KindProtocol}},
		"status 600":                {answering("HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"), []Kind{KindProtocol}},
		"status 999":                {answering("HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok"), []Kind{KindProtocol}},
		"status of two digits":      {answering("HTTP/1.1 20 OK\r\n\r\n"), []Kind{KindProtocol}},
		"status with letters":       {answering("HTTP/1.1 2OO OK\r\n\r\n"), []Kind{KindProtocol}},
		"two lengths":               {answering(ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk"), []Kind{KindProtocol}},
		"negative length":           {answering(ok + "Content-Length: -1\r\n\r\n"), []Kind{KindProtocol}},
		"length and garbage":        {answering(ok + "Content-Length: 2x\r\n\r\nok"), []Kind{KindProtocol}},
		"unknown transfer encoding": {answering(ok + "Transfer-Encoding: rot13\r\n\r\n"), []Kind{KindProtocol}},
		"HTTP/0.9":                  {answering("<html>hello</html>\r\n\r\n"), []Kind{KindProtocol}},
		"HTTP/3.0":                  {answering("HTTP/x.y 200 OK\r\n\r\n"), []Kind{KindProtocol}},
		"header without colon":      {answering(ok + "nonsense\r\n\r\n"), []Kind{KindProtocol}},
		"TLS alert":                 {answering("\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"), []Kind{KindProtocol}},
		"SMTP banner after request": {answering("220 mail.example ESMTP\r\n"), []Kind{KindProtocol}},
		"SMTP banner at once": {func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
			untilClosed(conn)
		}, []Kind{KindProtocol, KindEOF}},
		"endless 1xx":           {forEver("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), []Kind{KindProtocol}},
		"endless header":        {forEver(ok, "X-A: "+strings.Repeat("a", 100)+"\r\n"), []Kind{KindProtocol}},
		"endless header line":   {forEver(ok+"X-A: ", strings.Repeat("a", 1000)), []Kind{KindProtocol}},
		"endless status line":   {forEver("HTTP/1.1 200 ", strings.Repeat("a", 1000)), []Kind{KindProtocol}},
		"header of 5 MiB":       {answering(ok + "X-A: " + strings.Repeat("a", 5<<20) + "\r\n\r\n"), []Kind{KindProtocol}},
		"closed without answer": {func(conn net.Conn) { readRequest(bufio.NewReader(conn)) }, []Kind{KindEOF}},
		"closed in the header":  {func(conn net.Conn) { readRequest(bufio.NewReader(conn)); _, _ = io.WriteString(conn, ok+"X-A: b") }, []Kind{KindEOF}},
		"closed in the body": {func(conn net.Conn) {
			readRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, ok+"Content-Length: 10\r\n\r\nshort")
		}, []Kind{KindEOF}},
		"reset": {func(conn net.Conn) {
			readRequest(bufio.NewReader(conn))
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, []Kind{KindReset}},
		"bad chunk": {answering(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), []Kind{KindProtocol}},
		"truncated chunk": {func(conn net.Conn) {
			readRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, ok+"Transfer-Encoding: chunked\r\n\r\nff\r\nx")
		}, []Kind{KindEOF}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newRawServer(t, c.serve)
			client := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain, Timeouts: Timeouts{Total: 10 * time.Second}})
			start := time.Now()
			for range 2 {
				_, err := do(t, client, post(t, server.url, "x"))
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.Contains(t, c.kinds, e.Kind, "%v", err)
			}
			assert.EqualValues(t, 2, server.connections.Load(), "the connection is not used again")
			assert.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// gzipResponse is a compressed response, which was not asked for.
func gzipResponse(body []byte) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestS31_NothingIsDecompressed(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{gzipped([]byte("ok")), gzipped([]byte("cut short"))[:9], []byte("this is no gzip data")} {
		var asked atomic.Value
		server := newRawServer(t, func(conn net.Conn) {
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				asked.Store(req.Header.Values("Accept-Encoding"))
				_, _ = io.WriteString(conn, gzipResponse(data))
			}
		})
		c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
		body, err := do(t, c, post(t, server.url, "x"))
		require.NoError(t, err)
		assert.Equal(t, string(data), body)
		assert.Equal(t, []string{"identity"}, asked.Load())
	}
}

func TestS31_BodyIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("n"))
		data := bytes.Repeat([]byte("x"), size)
		switch r.URL.Query().Get("how") {
		case "length":
			w.Header().Set("Content-Length", strconv.Itoa(size))
		case "chunked":
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write(data)
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for _, how := range []string{"length", "chunked", ""} {
		for _, n := range []int{0, 1, 511, 512, 513, 999, 1000, 1001, 5000, 64 << 10, 64<<10 + 1, 300 << 10} {
			for _, limit := range []int{0, 1, 1000, 64 << 10, 128 << 10} {
				resp, err := c.RoundTrip(post(t, fmt.Sprintf("%s/?n=%d&how=%s", server.URL, n, how), "x"))
				require.NoError(t, err)
				data, cut, err := ReadBody(resp, limit)
				require.NoError(t, err)
				require.Len(t, data, min(n, limit), "%s, %d of at most %d", how, n, limit)
				require.Equal(t, n > limit, cut, "%s, %d of at most %d", how, n, limit)
			}
		}
	}
}

func TestS31_ConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{
		"empty": "HTTP/1.1 204 No Content\r\n\r\n", "length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "zero": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "gzip": gzipResponse(gzipped([]byte("ok"))),
		"longer than is kept": "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000), "error": "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
		"hints first": "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		server := newRawServer(t, answering(response))
		c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
		for range 5 {
			_, err := do(t, c, post(t, server.url, "x"))
			require.NoError(t, err, name)
		}
		assert.EqualValues(t, 1, server.connections.Load(), name)
	}
}

func TestS31_LongBodyCostsTheConnectionNotTheTime(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, forEver("HTTP/1.1 200 OK\r\n\r\n", "x"))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	start := time.Now()
	for range 3 {
		resp, err := c.RoundTrip(post(t, server.url, "x"))
		require.NoError(t, err)
		data, cut, err := ReadBody(resp, 64<<10)
		require.NoError(t, err)
		assert.True(t, cut)
		assert.Len(t, data, 64<<10)
	}
	assert.Less(t, time.Since(start), 5*time.Second)
	assert.EqualValues(t, 3, server.connections.Load())
}

// Not parallel: it measures the allocations of the process.
func TestS31_GzipBombIsCheap(t *testing.T) {
	bomb := bytes.Repeat(gzipped(make([]byte, 1<<20)), 200) // 200 MiB in as many members
	server := newRawServer(t, answering(gzipResponse(bomb)))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	req := post(t, server.url, "x")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := c.RoundTrip(req)
	require.NoError(t, err)
	data, cut, err := ReadBody(resp, 64<<10)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.True(t, cut)
	assert.Equal(t, bomb[:64<<10], data)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestS49_BodyErrorsAreSafe(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, func(conn net.Conn) {
		readRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	resp, err := c.RoundTrip(post(t, server.url+"/s3cret", "x"))
	require.NoError(t, err)
	data, _, err := ReadBody(resp, 100)
	e := requireKind(t, err, KindEOF)
	assert.Equal(t, "short", string(data), "what came before the error is kept")
	assert.False(t, e.OutcomeUnknown, "the status is known")
	assert.Equal(t, "POST "+server.url+": the connection was closed before the response was complete", err.Error())
	require.NoError(t, errors.Unwrap(err))
}
