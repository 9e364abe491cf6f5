package natstest

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy is a TCP proxy in front of a server: the network between it and a client, which a test can cut.
type Proxy struct {
	ctx      context.Context // of the test
	target   string
	listener net.Listener
	over     sync.WaitGroup

	answered atomic.Int64

	mu sync.Mutex
	// Closed while that way is whole; nothing passes before that.
	requests, answers chan struct{}
	lost              string // what is published to subjects that begin so does not arrive; "" = all arrives
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

// Lose drops what clients publish to subjects that begin with prefix, until Heal.
func (p *Proxy) Lose(prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = prefix
}

// Answered is how many bytes came from the server.
func (p *Proxy) Answered() int64 { return p.answered.Load() }

// Heal ends the cut. Connections from before are reset, and new ones pass.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = ""
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
	p.over.Go(func() { p.answer(client, server) })
	p.request(server, client)
}

// answer passes on what the server sends.
func (p *Proxy) answer(client, server net.Conn) {
	defer func() { _ = client.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		p.answered.Add(int64(n))
		<-p.whole(&p.answers)
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}

// request passes on what the client sends, one protocol message after the other, but for those to be lost.
func (p *Proxy) request(server, client net.Conn) {
	defer func() { _ = server.Close() }()
	r := bufio.NewReader(client)
	for {
		message, subject, err := readMessage(r)
		if err != nil {
			return
		}
		<-p.whole(&p.requests)
		if p.loses(subject) {
			continue
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// readMessage reads a message of the client protocol: a line, and of PUB and HPUB the payload, whose size ends the
// line.
func readMessage(r *bufio.Reader) (message []byte, subject string, err error) {
	line, err := r.ReadBytes('\n')
	part := strings.Fields(string(line))
	if err != nil || len(part) < 3 || part[0] != "PUB" && part[0] != "HPUB" {
		return line, "", err
	}
	size, err := strconv.Atoi(part[len(part)-1])
	if err != nil {
		return nil, "", err
	}
	payload := make([]byte, size+len("\r\n"))
	_, err = io.ReadFull(r, payload)
	return append(line, payload...), part[1], err
}

func (p *Proxy) loses(subject string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost != "" && strings.HasPrefix(subject, p.lost)
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
