package webhook_test

import (
	"context"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook"
)

// socketPhases are those that need sockets with unusual settings.
func socketPhases() map[string]phase {
	return map[string]phase{
		"connect": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				return newChannel(t, webhook.Config{URL: "http://" + fullListener(t) + "/T0P-S3CRET", Timeouts: limits})
			},
			limit: func(l *webhook.Timeouts) *time.Duration { return &l.Connect },
			kind:  webhook.KindConnectTimeout,
		},
		"write": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				deaf := serveRaw(t, func(ctx context.Context, _ int, _ net.Conn) { <-ctx.Done() })
				hook := newChannel(t, webhook.Config{URL: deaf + "/T0P-S3CRET", Timeouts: limits})
				hook.OnSocket(func(fd uintptr) {
					assert.NoError(t, syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
				})
				return hook
			},
			kind:  webhook.KindWriteTimeout,
			large: true,
		},
	}
}

// fullListener returns the address of a socket whose queue is full, so that the kernel lets further connections wait.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	for {
		conn, err := net.DialTimeout("tcp", address, short)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
}
