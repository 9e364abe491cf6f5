package netguard

import (
	"context"
	"errors"
)

// Error is every failure that leaves this package at run time. It is built anew from what happened: its text names the
// method and scheme://host[:port], never path, query, user info, an address the name resolved to, a resolver's address
// or what the server sent, and the error met underneath cannot be reached through Unwrap.
type Error struct {
	Kind   Kind
	Cert   CertProblem // for KindTLSCert
	Method string      // "" when a connection was made, not a request
	Target string      // scheme://host[:port], or host:port for a connection

	// OutcomeUnknown is set when the request had been written and no response came: the receiver may have acted on it.
	// A retry is right, and may make it act twice.
	OutcomeUnknown bool

	absent string        // the host whose name does not exist
	reason string        // of a fixed set, safe to show
	cause  error         // *BlockedError, context.Canceled, context.DeadlineExceeded or nil
	detail func() string // a closure, so that %#v does not show it
}

func (e *Error) Error() string {
	text := e.Target
	if e.Method != "" {
		text = e.Method + " " + text
	}
	if text != "" {
		text += ": "
	}
	var refusal *BlockedError
	switch {
	case errors.As(e.cause, &refusal):
		text += refusal.Error()
	case e.absent != "":
		text += unreachable(e.absent)
	default:
		text += e.Kind.text()
	}
	if e.reason != "" {
		text += " (" + e.reason + ")"
	}
	if e.OutcomeUnknown {
		text += "; the request was sent, its outcome is unknown"
	}
	return text
}

// Unwrap returns the *BlockedError of a refusal, or the context error of a timeout or cancellation.
func (e *Error) Unwrap() error { return e.cause }

// Timeout reports whether a time limit was exceeded.
func (e *Error) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

// Detail is for the operator's log only: it may name resolved addresses and the contents of certificates. It never
// holds the URL or bytes of the response. Channels log it when a destination is refused.
func (e *Error) Detail() string {
	if e.detail == nil {
		return ""
	}
	return e.detail()
}

// refused returns the error for a refusal.
func refused(target string, refusal *BlockedError) *Error {
	e := &Error{Kind: KindBlocked, Target: target, cause: refusal, detail: refusal.Detail}
	if refusal.resolved {
		e.Kind = KindDNS
	}
	return e
}

// withTarget returns a copy for a request.
func (e *Error) withTarget(method, target string) *Error {
	c := *e
	c.Method, c.Target = method, target
	return &c
}

// ErrDestinationBlocked is matched, with errors.Is, by every refusal of the outbound policy. No byte was sent. The
// refusal of an address or a name as it was configured, of kind [KindBlocked], is permanent: only a change of the
// policy or of the configuration can help. Private networks, or a receiver on the same machine, need a Guard whose
// [Profile] opens them. A name all of whose addresses are refused is of kind [KindDNS], has the text of a name that
// does not exist, and is no more permanent than that: a user who may configure a destination must not read internal DNS
// from the difference.
var ErrDestinationBlocked = errors.New("destination blocked by the outbound policy")

// BlockedError is a refusal. Its text may be shown to the user who configured the destination: it names the host as
// configured and never an address it resolved to, which would turn the product into a way to read internal DNS.
type BlockedError struct {
	Host string // as configured; "" when a socket address was checked without a name
	What string // "" when it is the address, else the part that is refused: "port 8080", "scheme http", "method GET"

	resolved bool          // what the host resolved to is refused
	detail   func() string // a closure, so that %#v does not show it
}

func (e *BlockedError) Error() string {
	if e.resolved {
		return unreachable(e.Host)
	}
	text := "destination"
	if e.Host != "" {
		text += " " + e.Host
	}
	if e.What != "" {
		text += ": " + e.What
	}
	return text + " is not allowed by the outbound policy"
}

// Is makes errors.Is(err, ErrDestinationBlocked) true.
func (e *BlockedError) Is(target error) bool { return target == ErrDestinationBlocked }

// Detail says which address was refused and why. It is for the operator's log only.
func (e *BlockedError) Detail() string {
	if e.detail == nil {
		return e.What
	}
	return e.detail()
}

// unreachable is all that is said of a host whose name leads to no address that is allowed, because there is none or
// because each was refused.
func unreachable(host string) string {
	return "destination " + host + " is unknown or not allowed by the outbound policy"
}

func blocked(host, detail string) *BlockedError {
	return &BlockedError{Host: host, detail: func() string { return detail }}
}

// Kind says in which phase and how a connection or a request failed. The values are stable: they are stored, counted
// and shown.
type Kind string

// The kinds of failure. "Outcome unknown" is a property of its own, see [Error].
const (
	KindBlocked        Kind = "blocked"         // refused by the policy, permanently; nothing was sent
	KindRequest        Kind = "request"         // the request cannot be sent as it is, such as a header with a line break
	KindDNS            Kind = "dns"             // the name does not resolve, or to no address that the policy allows
	KindConnect        Kind = "connect"         // refused, unreachable
	KindConnectTimeout Kind = "connect_timeout" // name resolution and connecting took too long
	KindProxy          Kind = "proxy"           // the proxy could not be reached or did not let us through
	KindTLS            Kind = "tls"             // the handshake failed otherwise
	KindTLSCert        Kind = "tls_cert"        // the server's certificate was not accepted, see [CertProblem]
	KindTLSVersion     Kind = "tls_version"     // no common protocol version
	KindTLSCipher      Kind = "tls_cipher"      // no common cipher or key exchange: the server knows outdated ones only
	KindTLSClientCert  Kind = "tls_client_cert" // the server wants a client certificate, or another one, or ours cannot be read
	KindTLSTimeout     Kind = "tls_timeout"     // the handshake took too long
	KindHeaderTimeout  Kind = "header_timeout"  // no response header in time
	KindBodyTimeout    Kind = "body_timeout"    // the total time ended while the response body was read
	KindTotalTimeout   Kind = "total_timeout"   // the total time ended before the response header
	KindProtocol       Kind = "protocol"        // the response is not proper HTTP
	KindReset          Kind = "reset"           // the connection was reset
	KindEOF            Kind = "eof"             // the connection was closed before the response was complete
	KindCanceled       Kind = "canceled"        // the caller cancelled
)

// CertProblem says what is wrong with a server certificate. Certificates get renewed, so none is permanent.
type CertProblem string

// The problems of a certificate.
const (
	CertExpired          CertProblem = "expired"
	CertNotYetValid      CertProblem = "not_yet_valid"
	CertUnknownAuthority CertProblem = "unknown_authority"
	CertHostMismatch     CertProblem = "host_mismatch"
	CertWeakSignature    CertProblem = "weak_signature" // signed with SHA-1 or MD5, by an authority that is trusted
	CertRefused          CertProblem = "refused"        // anything else, also by VerifyConnection
)

// text describes a kind for people.
func (k Kind) text() string {
	switch k {
	case KindBlocked:
		return "the destination is not allowed by the outbound policy"
	case KindRequest:
		return "the request cannot be sent as it is"
	case KindDNS:
		return "the host name could not be resolved"
	case KindConnect:
		return "no connection"
	case KindConnectTimeout:
		return "no connection in time"
	case KindProxy:
		return "no connection through the proxy"
	case KindTLS:
		return "the TLS handshake failed"
	case KindTLSCert:
		return "the server's certificate was not accepted"
	case KindTLSVersion:
		return "the server offers no acceptable TLS version"
	case KindTLSCipher:
		return "the server offers no acceptable cipher or key exchange"
	case KindTLSClientCert:
		return "the server did not accept our client certificate, or there is none"
	case KindTLSTimeout:
		return "no TLS handshake in time"
	case KindHeaderTimeout:
		return "no response header in time"
	case KindBodyTimeout:
		return "the response body did not end in time"
	case KindTotalTimeout:
		return "no response within the total time"
	case KindReset:
		return "the connection was reset"
	case KindEOF:
		return "the connection was closed before the response was complete"
	case KindCanceled:
		return "canceled"
	default:
		return "the response is not valid"
	}
}
