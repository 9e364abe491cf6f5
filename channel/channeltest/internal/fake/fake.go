// Package fake has what the servers beside package channeltest share: how they start and stop on loopback, and how a
// test says what they answer.
package fake

import (
	"context"
	"net"
	"testing"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Start returns the server that open makes, and closes it when the test ends. The test ends at once if open fails.
func Start[Server interface{ Close() }](t testing.TB, open func() (Server, error)) Server {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatalf("start a server on loopback: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// Loopback is where a server listens: a free port of 127.0.0.1.
type Loopback struct {
	net.Listener
	// Guard lets a channel connect to it.
	Guard *netguard.Guard
	// Context is done when the server is closed.
	Context context.Context

	quit context.CancelFunc
}

// Listen begins to listen. Close the Loopback.
func Listen() (*Loopback, error) {
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	l := &Loopback{Guard: guard}
	l.Context, l.quit = context.WithCancel(context.Background())
	if l.Listener, err = new(net.ListenConfig).Listen(l.Context, "tcp", "127.0.0.1:0"); err != nil {
		l.quit()
		return nil, err
	}
	return l, nil
}

// Close ends Context and frees the port.
func (l *Loopback) Close() error {
	l.quit()
	return l.Listener.Close()
}
