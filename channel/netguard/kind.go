package netguard

// Kind says in which phase and how a connection or an exchange failed. The values are stable: they are stored, counted
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
	KindProtocol       Kind = "protocol"        // the answer is not proper HTTP
	KindReset          Kind = "reset"           // the connection was reset
	KindEOF            Kind = "eof"             // the connection was closed before the answer was complete
	KindCanceled       Kind = "canceled"        // the caller gave up
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
		return "the connection was closed before the answer was complete"
	case KindCanceled:
		return "canceled"
	default:
		return "the answer is not valid"
	}
}
