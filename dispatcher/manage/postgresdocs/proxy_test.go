package postgresdocs

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a TCP proxy in front of a server: the network between it and a client, which a test can cut.
type proxy struct {
	address  *url.URL
	target   string
	listener net.Listener
	over     sync.WaitGroup

	mu    sync.Mutex
	whole chan struct{} // closed while nothing is cut
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: u.Host, listener: l, whole: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.whole)
	u.Host = l.Addr().String()
	p.address = u
	p.over.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.heal()
		p.over.Wait()
	})
	return p
}

func (p *proxy) url() string { return p.address.String() }

// cut stops everything on its way without a word to either side: what a broken cable does.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = make(chan struct{})
}

// heal ends the cut. Connections from before are reset, and new ones pass.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	select {
	case <-p.whole:
	default:
		close(p.whole)
	}
}

func (p *proxy) pass() {
	p.mu.Lock()
	whole := p.whole
	p.mu.Unlock()
	<-whole
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.over.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer p.note(client)()
	p.pass()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.note(server)()
	p.over.Go(func() { p.copy(client, server) })
	p.copy(server, client)
}

// note keeps a connection for heal; the function it returns closes it.
func (p *proxy) note(c net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
		_ = c.Close()
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.pass()
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
