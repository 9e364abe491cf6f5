package natstest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy is a TCP proxy in front of a server: the network between it and a client, which a test can cut.
type Proxy struct {
	ctx      context.Context // of the test
	target   string
	listener net.Listener
	over     sync.WaitGroup

	mu sync.Mutex
	// Closed while that way is whole; nothing passes before that.
	requests, answers chan struct{}
	conns             map[net.Conn]bool
}

// NewProxy starts a proxy for the server at a nats:// address and stops it at the end of the test.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ctx: t.Context(), target: strings.TrimPrefix(address, "nats://"), listener: l, conns: map[net.Conn]bool{}}
	p.Cut()
	p.Heal()
	p.over.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Heal()
		p.over.Wait()
	})
	return p
}

// URL is the proxy's address.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut stops everything on its way, both ways, without a word to either side: what a broken cable does.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.answers = make(chan struct{}), make(chan struct{})
}

// CutAnswers stops what comes from the server only.
func (p *Proxy) CutAnswers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = make(chan struct{})
}

// Heal ends the cut. Connections from before are reset, and new ones pass.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	for _, way := range []chan struct{}{p.requests, p.answers} {
		select {
		case <-way:
		default:
			close(way)
		}
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.over.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.keep(client)
	defer p.drop(client)
	<-p.whole(&p.requests)
	server, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	p.keep(server)
	defer p.drop(server)
	p.over.Go(func() { p.copy(client, server, &p.answers) })
	p.copy(server, client, &p.requests)
}

func (p *Proxy) copy(to, from net.Conn, way *chan struct{}) {
	defer func() { _ = to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		<-p.whole(way)
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) whole(way *chan struct{}) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *way
}

func (p *Proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
