package postgresqueue

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a way to a server that can be cut.
type proxy struct {
	to       *url.URL
	listener net.Listener
	working  sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while the way is open
	cut   bool
	conns map[net.Conn]bool
}

// newProxy makes a way to the server of a URL, for as long as the test runs.
func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{to: u, listener: l, open: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.open)
	p.working.Go(p.serve)
	t.Cleanup(p.close)
	return p
}

// address is the URL of the way.
func (p *proxy) address() string {
	u := *p.to
	u.Host = p.listener.Addr().String()
	return u.String()
}

// setCut cuts the way, or opens it again: what was sent meanwhile, in both directions, arrives then. Nobody is told.
func (p *proxy) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case cut == p.cut:
	case cut:
		p.open = make(chan struct{})
	default:
		close(p.open)
	}
	p.cut = cut
}

// close ends all connections.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.setCut(false)
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.working.Wait()
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.to.Host)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		p.working.Go(func() { p.pass(in, out) })
		p.working.Go(func() { p.pass(out, in) })
	}
}

// pass passes on what arrives, while the way is open.
func (p *proxy) pass(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		p.mu.Lock()
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
