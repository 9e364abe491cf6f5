package netguard

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxResponseHeader = 64 << 10
	idleTimeout       = 90 * time.Second
	expiryInterval    = 10 * time.Second // between removals of idle connections that are too old
	maxIdlePerHost    = 256              // each sender that finds no idle connection pays for a handshake
)

// pool is the idle connections of all clients of a Guard that agree in TLS, proxy and time limits.
type pool struct {
	key      poolKey
	users    int // guarded by Guard.mu
	tls      *tls.Config
	proxy    *proxy
	timeouts Timeouts
	guard    *Guard
	maxIdle  int // per host

	mu         sync.Mutex
	idle       map[connKey][]*connection // the one used last at the end
	epoch      uint64                    // connections of an earlier one are not used again
	generation uint64                    // of the client certificate
	timer      *time.Timer               // of closeExpired; nil while nothing is idle
}

type poolKey struct {
	tls      tlsKey
	proxy    proxyKey
	timeouts Timeouts
}

// invalidate makes all further requests use new connections. Those in use are closed when their round trip is over.
func (p *pool) invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invalidateLocked()
}

func (p *pool) invalidateLocked() {
	p.epoch++
	p.closeIdleLocked()
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeIdleLocked()
}

func (p *pool) closeIdleLocked() {
	for _, list := range p.idle {
		for _, c := range list {
			c.drop()
		}
	}
	clear(p.idle)
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// getIdle returns an idle connection that can be used, or nil and the epoch for a new one.
func (p *pool) getIdle(key connKey) (*connection, uint64) {
	for {
		c, epoch := p.popIdle(key)
		if c == nil || c.usable() {
			return c, epoch
		}
		c.drop()
	}
}

// popIdle returns the connection that was used last, so that those not needed any more grow old.
func (p *pool) popIdle(key connKey) (*connection, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.key.tls.certificate.generation(); n != p.generation {
		p.generation = n
		p.invalidateLocked()
	}
	list := p.idle[key]
	if len(list) == 0 {
		return nil, p.epoch
	}
	last := len(list) - 1
	c := list[last]
	list[last] = nil
	p.idle[key] = list[:last]
	return c, p.epoch
}

// putIdle keeps a connection for later requests.
func (p *pool) putIdle(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[c.key]
	if c.epoch != p.epoch || len(list) >= p.maxIdle {
		c.drop()
		return
	}
	c.lastUsed = time.Now()
	if p.idle == nil {
		p.idle = make(map[connKey][]*connection)
	}
	p.idle[c.key] = append(list, c)
	if p.timer == nil { // never postponed: a busy host would keep the connections to all others open
		p.timer = time.AfterFunc(idleTimeout, p.closeExpired)
	}
}

// closeExpired closes what has been idle for too long.
func (p *pool) closeExpired() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, list := range p.idle {
		old := 0
		for old < len(list) && time.Since(list[old].lastUsed) >= idleTimeout {
			list[old].drop()
			old++
		}
		if p.idle[key] = slices.Delete(list, 0, old); old == len(list) {
			delete(p.idle, key)
		}
	}
	if p.timer == nil {
		return
	}
	if len(p.idle) == 0 {
		p.timer.Stop()
		p.timer = nil
		return
	}
	p.timer.Reset(expiryInterval)
}

// connect makes a connection to the request's host, through the proxy of hop unless that is nil. ctx ends with the
// round trip's total limit. The error is an *Error.
func (p *pool) connect(ctx context.Context, key connKey, epoch uint64, req *http.Request, hop *proxyHop) (*connection, error) {
	target := address(req.URL)
	var tcp net.Conn
	var err error
	if hop == nil {
		tcp, err = p.guard.dial(ctx, "tcp", target, p.timeouts.Connect)
	} else {
		tcp, err = p.proxy.dial(ctx, "tcp", address(hop.url), p.timeouts)
	}
	if err != nil {
		return nil, err
	}
	if key.scheme != "https" {
		return newConnection(tcp, tcp, key, epoch), nil
	}
	if hop != nil {
		if err := hop.tunnel(ctx, tcp, target, p.timeouts); err != nil {
			_ = tcp.Close()
			return nil, err
		}
	}
	secured, err := p.handshake(ctx, tcp, req.URL.Hostname())
	if err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return newConnection(tcp, secured, key, epoch), nil
}

// handshake speaks TLS over tcp.
func (p *pool) handshake(ctx context.Context, tcp net.Conn, host string) (*tls.Conn, error) {
	config := p.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	var requested certRequested
	limited, cancel := context.WithTimeout(context.WithValue(ctx, certRequestedKey{}, &requested), p.timeouts.TLS)
	defer cancel()
	conn := tls.Client(tcp, config)
	err := conn.HandshakeContext(limited)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil:
		return nil, &Error{Kind: KindTLSTimeout, cause: context.DeadlineExceeded}
	case requested.Load() && isAlert(err, handshakeFailure): // TLS 1.2 has no better word for a missing certificate
		return nil, &Error{Kind: KindTLSClientCert}
	}
	return nil, Classify(ctx, "", "", err, false)
}
