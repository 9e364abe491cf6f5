package netguard

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// A connection that the server has closed, or written to without being asked, while it was idle is not used again:
// nothing is lost on it, and no stray answer is taken for that to the next request.
func TestS27_AnIdleConnectionIsLookedAtBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}}
	const stray = "HTTP/1.1 500 Stray\r\nContent-Length: 2\r\n\r\nno"
	for name, after := range map[string]func(io.WriteCloser){
		"closed":           func(c io.WriteCloser) { closeQuietly(c) },
		"timeout response": func(c io.WriteCloser) { _, _ = io.WriteString(c, stray); closeQuietly(c) },
		"stray response":   func(c io.WriteCloser) { _, _ = io.WriteString(c, stray) },
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				done := make(chan struct{})
				server := newRawServer(t, func(tcp net.Conn) {
					conn := tcp
					if scheme == "https" {
						conn = tls.Server(tcp, config)
					}
					if readRequest(bufio.NewReader(conn)) {
						_, _ = io.WriteString(conn, okResponse)
						after(conn)
						done <- struct{}{}
						untilClosed(tcp)
					}
				})
				c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain, TLS: TLS{CAPEM: ca.pem}})
				target := strings.Replace(server.url, "http", scheme, 1)
				for n := range 5 {
					body, err := do(t, c, post(t, target, "x"))
					require.NoError(t, err)
					assert.Equal(t, "ok", body)
					select {
					case <-done:
					case <-time.After(10 * time.Second):
						t.Fatal("the request came on a connection that is of no use")
					}
					assert.EqualValues(t, n+1, server.connections.Load())
				}
			})
		}
	}
}

// TLS may have read the stray answer together with the right one, so that the socket knows nothing of it any more.
func TestS27_WhatTLSHasReadAheadIsNotTheNextAnswer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}}
	server := newRawServer(t, func(tcp net.Conn) {
		flight := &oneFlight{Conn: tcp}
		conn := tls.Server(flight, config)
		if readRequest(bufio.NewReader(conn)) {
			flight.hold = true
			_, _ = io.WriteString(conn, okResponse)
			_, _ = io.WriteString(conn, "HTTP/1.1 500 Stray\r\nContent-Length: 2\r\n\r\nno")
			_, _ = tcp.Write(flight.held)
			untilClosed(tcp)
		}
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem}})
	for n := range 3 {
		body, err := do(t, c, post(t, strings.Replace(server.url, "http", "https", 1), "x"))
		require.NoError(t, err)
		assert.Equal(t, "ok", body)
		assert.EqualValues(t, n+1, server.connections.Load())
	}
}

// oneFlight gathers what is written while hold is set.
type oneFlight struct {
	net.Conn
	hold bool
	held []byte
}

func (f *oneFlight) Write(p []byte) (int, error) {
	if !f.hold {
		return f.Conn.Write(p)
	}
	f.held = append(f.held, p...)
	return len(p), nil
}

func TestALargeBodyMayBeRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n\r\ntoo big")
			hold := make(chan struct{})
			t.Cleanup(func() { close(hold) })
			<-hold // reads no further, and does not close
		}
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for n := range 2 {
		resp, err := c.RoundTrip(post(t, server.url, strings.Repeat("x", 16<<20)))
		require.NoError(t, err)
		assert.Equal(t, 413, resp.StatusCode)
		data, _, err := ReadBody(resp, 100)
		require.NoError(t, err)
		assert.Equal(t, "too big", string(data))
		assert.EqualValues(t, n+1, server.connections.Load(), "a connection with half a request is not used again")
	}
}

func TestLargeBodiesShareAConnection(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, answering(okResponse))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for _, size := range []int{largeBody, largeBody + 1, 1 << 20, 8 << 20} {
		_, err := do(t, c, post(t, server.url, strings.Repeat("x", size)))
		require.NoError(t, err)
		req := post(t, server.url, "")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", size))), -1
		_, err = do(t, c, req)
		require.NoError(t, err, "of unknown length")
	}
	assert.EqualValues(t, 1, server.connections.Load())
}

func TestABodyThatCannotBeReadIsAFaultOfTheRequest(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, answering(okResponse))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for _, length := range []int64{10, largeBody + 1, -1} {
		req := post(t, server.url, "")
		req.Body, req.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("s3cret"))), length
		_, err := do(t, c, req)
		assert.False(t, requireKind(t, err, KindRequest).OutcomeUnknown)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func TestIdleConnectionsAreBoundedAndGrowOld(t *testing.T) {
	t.Parallel()
	const inFlight = 80
	var arrived sync.WaitGroup
	arrived.Add(inFlight)
	server := newRawServer(t, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		for first := true; readRequest(reader); first = false {
			if first {
				arrived.Done()
				arrived.Wait()
			}
			_, _ = io.WriteString(conn, okResponse)
		}
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	c.pool.maxIdle = 70
	var senders sync.WaitGroup
	for range inFlight {
		senders.Go(func() {
			_, err := do(t, c, post(t, server.url, "x"))
			assert.NoError(t, err)
		})
	}
	senders.Wait()
	idle := func() (list []*connection) {
		c.pool.mu.Lock()
		defer c.pool.mu.Unlock()
		for _, each := range c.pool.idle {
			list = append(list, each...)
		}
		return list
	}
	require.Len(t, idle(), 70)

	list := idle()
	c.pool.mu.Lock()
	for _, conn := range list[:30] {
		conn.lastUsed = time.Now().Add(-idleTimeout)
	}
	c.pool.mu.Unlock()
	c.pool.closeExpired()
	require.Equal(t, list[30:], idle())
	for _, conn := range list[:30] {
		_, err := conn.tcp.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	}
	c.CloseIdleConnections()
	require.Empty(t, idle())
}
