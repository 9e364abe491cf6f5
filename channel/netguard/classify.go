package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Classify turns an error of a connection made with a [Guard] into an *Error: one that is inside err (below a
// *url.Error or *net.OpError, for example) or else a new one whose kind is found from err. Channels that speak another
// protocol than HTTP use it for the errors of their library. method and target are shown; written says that what was to
// be delivered had been sent completely, so that the outcome is unknown unless a rule says otherwise. A nil err gives
// nil.
func Classify(ctx context.Context, method, target string, err error, written bool) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known.withTarget(method, target)
	}
	e := &Error{Method: method, Target: target, OutcomeUnknown: written}
	var refusal *BlockedError
	if errors.As(err, &refusal) {
		return refused("", refusal).withTarget(method, target)
	}
	switch {
	case e.fromContext(ctx, err), e.fromTLS(err), e.fromConnection(err):
	case isTimeout(err):
		e.Kind, e.cause = KindTotalTimeout, context.DeadlineExceeded
	default:
		e.Kind = KindProtocol
	}
	return e
}

// ended reports whether err is a consequence of ctx's end. The dialer sets socket deadlines from ctx, which can fire a
// moment before ctx does; that moment is waited for, so that a caller finds its context done.
func ended(ctx context.Context, err error) bool {
	deadline, limited := ctx.Deadline()
	if limited && ctx.Err() == nil && ctx.Done() != nil && isTimeout(err) && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

func (e *Error) fromContext(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() == context.Canceled, errors.Is(err, context.Canceled):
		e.Kind, e.cause = KindCanceled, context.Canceled
	case ended(ctx, err):
		e.Kind, e.cause = KindTotalTimeout, context.DeadlineExceeded
	default:
		return false
	}
	return true
}

func (e *Error) fromTLS(err error) bool {
	var (
		unverified *tls.CertificateVerificationError
		record     tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unverified):
		e.Kind, e.Cert = KindTLSCert, certProblem(unverified.Err)
		e.reason = certReason(e.Cert)
		text := printable(unverified.Err.Error())
		e.detail = func() string { return text }
	case errors.As(err, new(*clientCertError)):
		e.Kind, e.reason = KindTLSClientCert, "the client certificate could not be loaded"
	case errors.As(err, new(*connectionRefusedError)):
		e.Kind, e.Cert, e.reason = KindTLSCert, CertRefused, certReason(CertRefused)
	case errors.As(err, &record):
		e.Kind, e.reason = KindTLS, "the server does not speak TLS here"
	case isAlert(err, 70, 86):
		e.Kind = KindTLSVersion
	case isAlert(err, handshakeFailure, 71), strings.Contains(err.Error(), "tls: server chose an unconfigured cipher suite"):
		e.Kind, e.reason = KindTLSCipher, "it may know RSA key exchange only, which is no longer used"
	case isAlert(err, 41, 42, 43, 44, 45, 46, 48, 49, 116):
		e.Kind = KindTLSClientCert
	case strings.Contains(err.Error(), "tls: server selected unsupported protocol version"):
		e.Kind = KindTLSVersion
	case strings.HasPrefix(err.Error(), "tls: "), strings.HasPrefix(err.Error(), "remote error: tls: "), strings.HasPrefix(err.Error(), "local error: tls: "):
		e.Kind = KindTLS
	default:
		return false
	}
	if e.Kind == KindTLSClientCert {
		e.OutcomeUnknown = false // a TLS 1.3 server refuses it after we have sent the request, but before it reads that
	}
	return true
}

const handshakeFailure = 40

// isAlert reports whether err is one of these alerts, or any if none are given, sent by the server. crypto/tls does not
// export their type, but gives them the texts of tls.AlertError. The numbers are those of RFC 8446, section 6.
func isAlert(err error, alerts ...tls.AlertError) bool {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return false
	}
	return len(alerts) == 0 || slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return a.Error() == remote.Err.Error() })
}

func certProblem(err error) CertProblem {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return CertNotYetValid
		}
		return CertExpired
	case errors.As(err, new(x509.HostnameError)):
		return CertHostMismatch
	case strings.Contains(err.Error(), "cannot verify signature: insecure algorithm"): // a hint within the next
		return CertWeakSignature
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return CertUnknownAuthority
	}
	return CertRefused
}

func certReason(p CertProblem) string {
	switch p {
	case CertExpired:
		return "it has expired"
	case CertNotYetValid:
		return "it is not valid yet"
	case CertUnknownAuthority:
		return "its authority is not trusted"
	case CertHostMismatch:
		return "it is for another host"
	case CertWeakSignature:
		return "it is signed with SHA-1 or MD5, which is no longer accepted; it has to be issued anew"
	default:
		return "it does not meet the requirements"
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// fromConnection recognises a lost connection.
func (e *Error) fromConnection(err error) bool {
	switch {
	case isReset(err), errors.Is(err, net.ErrClosed):
		e.Kind = KindReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind = KindEOF
	default:
		return false
	}
	return true
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// dialError builds the error of a failed attempt to connect to host at address; late says that the connect limit was
// used up.
func dialError(ctx context.Context, address, host string, err error, late bool) *Error {
	e := &Error{Target: address}
	if e.fromContext(ctx, err) {
		return e
	}
	var (
		dns *net.DNSError
		op  *net.OpError
	)
	switch {
	case late && isTimeout(err):
		e.Kind, e.cause = KindConnectTimeout, context.DeadlineExceeded
	case errors.As(err, &dns):
		e.Kind = KindDNS
		switch {
		case dns.IsNotFound:
			e.absent = host
			e.detail = func() string { return "there is no such host" }
		case dns.IsTimeout:
			e.reason = "the name server did not answer"
		}
		return e // the library's text names the resolver
	case isTimeout(err):
		e.Kind, e.cause = KindConnectTimeout, context.DeadlineExceeded
	default:
		e.Kind, e.reason = KindConnect, connectReason(err)
	}
	if errors.As(err, &op) && op.Addr != nil {
		tried := op.Addr.String()
		e.detail = func() string { return "tried " + tried }
	}
	return e
}

func connectReason(err error) string {
	for errno, text := range map[syscall.Errno]string{
		syscall.ECONNREFUSED: "connection refused", syscall.EHOSTUNREACH: "host unreachable", syscall.ENETUNREACH: "network unreachable",
		syscall.EADDRNOTAVAIL: "no local address or port left", syscall.EMFILE: "too many open files in this process",
	} {
		if errors.Is(err, errno) {
			return text
		}
	}
	return ""
}

// printable shortens s and replaces what a log or terminal could take as a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 500)])
}
