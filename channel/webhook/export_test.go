package webhook

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"syscall"
	"time"
)

// RetryAfter is retryAfter.
func RetryAfter(value string, now time.Time) time.Duration { return retryAfter(value, now) }

// TrustAt makes c accept certificates of roots, judged at the given time.
func (c *Channel) TrustAt(roots *x509.CertPool, at time.Time) {
	c.dialer.tls.RootCAs = roots
	c.dialer.tls.Time = func() time.Time { return at }
}

// ResolveWith makes c resolve host names with r.
func (c *Channel) ResolveWith(r *net.Resolver) { c.dialer.net.Resolver = r }

// OnSocket lets set change a socket before it is connected.
func (c *Channel) OnSocket(set func(fd uintptr)) {
	next := c.dialer.net.ControlContext
	c.dialer.net.ControlContext = func(ctx context.Context, network, address string, raw syscall.RawConn) error {
		if err := raw.Control(set); err != nil {
			return err
		}
		return next(ctx, network, address, raw)
	}
}

// Model is the request that every request is made of.
func (c *Channel) Model() *http.Request {
	req := c.request.Clone(context.Background())
	req.Header = c.private.header
	return req
}

// Lines is the number of lines in the head of Model: request line, Host, Content-Length, the headers, and the empty line.
func (c *Channel) Lines() int { return 4 + len(c.private.header) }
