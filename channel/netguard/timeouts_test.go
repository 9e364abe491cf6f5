package netguard

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const short = 100 * time.Millisecond

// Each phase fails at its own limit; the limits of the other phases are far away.
func TestS29_S30_EachPhaseHasItsLimit(t *testing.T) {
	t.Parallel()
	silent := newRawServer(t, untilClosed)
	resolver := newResolver(t, fixedNames(map[string][]string{"silent.example": {""}}))
	drip := newRawServer(t, func(conn net.Conn) {
		readRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
		gone := make(chan struct{})
		go func() { untilClosed(conn); close(gone) }()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-gone:
				return
			case <-tick.C:
				if _, err := conn.Write([]byte("x")); err != nil {
					<-gone
					return
				}
			}
		}
	})
	notReading := newRawServer(t, func(conn net.Conn) {
		gone := make(chan struct{})
		t.Cleanup(func() { close(gone) })
		<-gone
	})
	for name, c := range map[string]struct {
		target   string
		timeouts Timeouts
		kind     Kind
		unknown  bool
		body     string
	}{
		"resolving":                  {"http://silent.example/", Timeouts{Connect: short}, KindConnectTimeout, false, "x"},
		"handshake":                  {strings.Replace(silent.url, "http", "https", 1), Timeouts{TLS: short}, KindTLSTimeout, false, "x"},
		"header":                     {silent.url, Timeouts{Header: short}, KindHeaderTimeout, true, "x"},
		"total before the header":    {silent.url, Timeouts{Total: short}, KindTotalTimeout, true, "x"},
		"total in the handshake":     {strings.Replace(silent.url, "http", "https", 1), Timeouts{Total: short}, KindTotalTimeout, false, "x"},
		"total while resolving":      {"http://silent.example/", Timeouts{Total: short}, KindTotalTimeout, false, "x"},
		"total while writing":        {notReading.url, Timeouts{Total: short}, KindTotalTimeout, false, strings.Repeat("x", 16<<20)},
		"body (dripping, no stalls)": {drip.url, Timeouts{Total: 2 * short}, KindBodyTimeout, false, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, newGuard(t, Profile{Loopback: true}, resolver), ClientOptions{Limits: plain, Timeouts: c.timeouts})
			start := time.Now()
			_, err := do(t, client, post(t, c.target, c.body))
			took := time.Since(start)
			e := requireKind(t, err, c.kind)
			assert.Equal(t, c.unknown, e.OutcomeUnknown)
			assert.True(t, e.Timeout())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.GreaterOrEqual(t, took, short-5*time.Millisecond)
			assert.Less(t, took, 5*time.Second, "in its phase and not later")
		})
	}
}

func TestS30_TheCallersDeadlineWins(t *testing.T) {
	t.Parallel()
	silent := newRawServer(t, untilClosed)
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := do(t, c, post(t, silent.url, "x").WithContext(ctx))
	requireKind(t, err, KindTotalTimeout)

	later, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	limited := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain, Timeouts: Timeouts{Total: short}})
	_, err = do(t, limited, post(t, silent.url, "x").WithContext(later))
	requireKind(t, err, KindTotalTimeout)
}

func TestS29_Defaults(t *testing.T) {
	t.Parallel()
	got, err := Timeouts{}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, Timeouts{Connect: 10 * time.Second, TLS: 10 * time.Second, Header: 15 * time.Second, Total: 30 * time.Second}, got)
}
