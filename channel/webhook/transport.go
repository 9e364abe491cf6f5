package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	// idleConnections is at least as many as a channel has senders: each that finds no place in the pool costs the next
	// delivery a connection, and on TLS a handshake.
	idleConnections   = 256
	idleTimeout       = 90 * time.Second
	maxResponseHeader = 64 << 10
)

// newTransport returns a transport for one channel: HTTP/1.1, no proxy from the environment, nothing shared.
func newTransport(d *dialer, header time.Duration) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // an HTTP/2 transport may resend on its own, and shares one connection among all attempts
	return &http.Transport{
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		ResponseHeaderTimeout:  header,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		Protocols:              &protocols,
	}
}

// dialer makes connections and tells which phase of that failed.
type dialer struct {
	net          net.Dialer
	tls          *tls.Config
	tlsHandshake time.Duration
}

func newDialer(t Timeouts) *dialer {
	d := &dialer{
		net:          net.Dialer{Timeout: t.Connect},
		tls:          &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		tlsHandshake: t.TLS,
	}
	// Called for each address before it is tried, that is once the name is resolved.
	d.net.ControlContext = func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
		progressOf(ctx).phase.Store(connecting)
		return nil
	}
	return d
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p := progressOf(ctx)
	conn, err := d.connect(ctx, p, network, address)
	if err != nil {
		return nil, err
	}
	p.phase.Store(connected)
	return conn, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	p := progressOf(ctx)
	conn, err := d.connect(ctx, p, network, address)
	if err != nil {
		return nil, err
	}
	p.phase.Store(securing)
	config := d.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(address)
	secured := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, d.tlsHandshake)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, handshakeError(err)
	}
	p.phase.Store(connected)
	return secured, nil
}

func (d *dialer) connect(ctx context.Context, p *progress, network, address string) (net.Conn, error) {
	p.phase.Store(resolving)
	conn, err := d.net.DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	e := &dialError{kind: KindConnect}
	switch late := isTimeout(err); {
	case p.phase.Load() == resolving && late:
		e.kind = KindDNSTimeout
	case p.phase.Load() == resolving:
		e.kind = KindDNS
	case late:
		e.kind = KindConnectTimeout
	}
	e.detail = systemText(err)
	return nil, e
}

// dialError is a dial that failed, without what the network's error may tell: resolver and resolved addresses.
type dialError struct {
	kind   Kind
	detail string
}

func (e *dialError) Error() string { return e.kind.text() }

func handshakeError(err error) *dialError {
	if isTimeout(err) {
		return &dialError{kind: KindTLSTimeout}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &dialError{KindCertificate, certificateText(err)}
	}
	return &dialError{KindTLS, systemText(err)}
}

func certificateText(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "it has expired or is not valid yet"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "it is signed by an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is for another host"
	}
	return ""
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// systemText returns the operating system's words for err, such as "connection refused"; they hold no data.
func systemText(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok && !isTimeout(err) {
		return number.Error()
	}
	return ""
}
