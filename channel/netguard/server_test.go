package netguard

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// rawServer accepts connections and hands each to serve, which may do what no HTTP server does. All are closed at the
// end of the test.
type rawServer struct {
	url         string
	connections atomic.Int32
}

func newRawServer(t *testing.T, serve func(net.Conn)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rawServer{url: "http://" + l.Addr().String()}
	var (
		mu    sync.Mutex
		conns []net.Conn
		done  sync.WaitGroup
	)
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			done.Go(func() { defer closeQuietly(conn); serve(conn) })
		}
	})
	t.Cleanup(func() {
		closeQuietly(l)
		mu.Lock()
		for _, c := range conns {
			closeQuietly(c)
		}
		mu.Unlock()
		done.Wait()
	})
	return s
}

// answering reads a request and writes the same bytes to each.
func answering(response string) func(net.Conn) {
	return func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		for readRequest(reader) {
			if _, err := conn.Write([]byte(response)); err != nil {
				return
			}
		}
	}
}

// readRequest reads one request with its body.
func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// untilClosed blocks until the other side goes away.
func untilClosed(conn net.Conn) {
	var b [1 << 10]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}

func newServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}
