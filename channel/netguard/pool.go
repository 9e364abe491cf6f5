package netguard

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxResponseHeader = 64 << 10
	idleTimeout       = 90 * time.Second
)

// pool is the connections of all clients of a Guard that agree in TLS, proxy and time limits.
type pool struct {
	key      poolKey
	users    int // guarded by Guard.mu
	tls      *tls.Config
	proxy    *proxy
	timeouts Timeouts
	guard    *Guard

	exchanges  sync.Pool // of *exchange
	current    atomic.Pointer[transports]
	mu         sync.Mutex // held while current is replaced
	generation uint64     // of the client certificate
}

type poolKey struct {
	tls      tlsKey
	proxy    proxyKey
	proxied  bool
	timeouts Timeouts
	idle     int
}

// transports are two, because their connections are judged by different profiles.
type transports struct{ direct, proxied *http.Transport }

// renew makes all further requests use new connections. Replacing the transport also closes the connections in use when
// they become idle; closing the idle ones alone would let those live on.
func (p *pool) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renewLocked()
}

func (p *pool) renewLocked() {
	next := &transports{direct: p.transport()}
	next.direct.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return p.guard.dial(ctx, network, address, p.timeouts.Connect)
	}
	if p.proxy != nil {
		next.proxied = p.transport()
		next.proxied.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.proxy.dial(ctx, network, address, p.timeouts)
		}
		next.proxied.Proxy = func(r *http.Request) (*url.URL, error) {
			u, _ := r.Context().Value(proxyURL{}).(*url.URL)
			return u, nil
		}
		next.proxied.OnProxyConnectResponse = connected
	}
	if old := p.current.Swap(next); old != nil {
		old.closeIdle()
	}
}

// proxyURL is the context key for the proxy of one request.
type proxyURL struct{}

// transport speaks HTTP/1.1 only: with HTTP/2 net/http sends requests again on its own, and one slow receiver would hold
// up all that share its connection. The time limit of the response header is kept by the exchange, which costs less.
func (p *pool) transport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil, // in particular not the environment's
		TLSClientConfig:        p.tls.Clone(),
		TLSHandshakeTimeout:    p.timeouts.TLS,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConnsPerHost:    p.key.idle,
		IdleConnTimeout:        idleTimeout,
		Protocols:              protocols,
	}
}

// get returns the transports to use now: new ones if the client certificate has changed.
func (p *pool) get() *transports {
	if c := p.key.tls.certificate; c != nil && c.generation != nil {
		n := c.generation()
		p.mu.Lock()
		if n != p.generation {
			p.generation = n
			p.renewLocked()
		}
		p.mu.Unlock()
	}
	return p.current.Load()
}

func (t *transports) closeIdle() {
	t.direct.CloseIdleConnections()
	if t.proxied != nil {
		t.proxied.CloseIdleConnections()
	}
}
