package pgtest

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
)

// Proxy is a way to a server that can be cut.
type Proxy struct {
	to       *url.URL
	listener net.Listener
	working  sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while the way is open
	cut   bool
	conns map[net.Conn]bool
}

// NewProxy makes a way to the server of a URL.
func NewProxy(to string) (*Proxy, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{to: u, listener: l, open: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.open)
	p.working.Go(p.serve)
	return p, nil
}

// URL is that of the way.
func (p *Proxy) URL() string {
	u := *p.to
	u.Host = p.listener.Addr().String()
	return u.String()
}

// Cut cuts the way, or opens it again: what was sent meanwhile, in both directions, arrives then. Nobody is told.
func (p *Proxy) Cut(cut bool) {
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

// Close ends all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Cut(false)
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.working.Wait()
}

func (p *Proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := new(net.Dialer).Dial("tcp", p.to.Host)
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
func (p *Proxy) pass(from, to net.Conn) {
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
			if err != io.EOF { //nolint:errorlint // Read returns it as it is
				return
			}
			return
		}
	}
}
