package webhook

// Kind says how an attempt failed. New kinds may be added.
type Kind string

// The kinds. KindNoEvent, KindRender and KindTooLarge are permanent, and nothing was sent. KindStatus and KindRedirect are
// what [Config].Verdicts says, and the others are worth another attempt.
const (
	KindNoEvent        Kind = "no_event"        // the Delivery has no event
	KindRender         Kind = "render"          // a template cannot make the request from this event
	KindRenderTimeout  Kind = "render_timeout"  // … in time
	KindTooLarge       Kind = "too_large"       // the request's body is larger than Config.MaxBody
	KindStatus         Kind = "status"          // the receiver answered with a status that is not a success
	KindRedirect       Kind = "redirect"        // the same with a 3xx, which is not followed
	KindDNS            Kind = "dns"             // the host name cannot be resolved
	KindDNSTimeout     Kind = "dns_timeout"     // … in time
	KindConnect        Kind = "connect"         // no TCP connection
	KindConnectTimeout Kind = "connect_timeout" // … in time
	KindTLS            Kind = "tls"             // no TLS session
	KindTLSTimeout     Kind = "tls_timeout"     // … in time
	KindCertificate    Kind = "tls_certificate" // the receiver's certificate is not accepted
	KindWriteTimeout   Kind = "write_timeout"   // the receiver did not take the whole request in time
	KindHeaderTimeout  Kind = "header_timeout"  // the receiver took the request and did not answer in time
	KindBodyTimeout    Kind = "body_timeout"    // the answer began and did not end in time
	KindConnection     Kind = "connection"      // the connection broke
	KindProtocol       Kind = "protocol"        // the answer is not valid HTTP
	KindCanceled       Kind = "canceled"        // the caller gave up
)

// text describes k, unless it is one that comes with a status.
func (k Kind) text() string {
	switch k {
	case KindNoEvent:
		return "there is no event to send"
	case KindRender:
		return "the request cannot be made from the event"
	case KindRenderTimeout:
		return "timeout while making the request"
	case KindTooLarge:
		return "the body is larger than MaxBody allows, nothing was sent"
	case KindDNS:
		return "the host name cannot be resolved"
	case KindDNSTimeout:
		return "timeout while resolving the host name"
	case KindConnect:
		return "no connection"
	case KindConnectTimeout:
		return "timeout while connecting"
	case KindTLS:
		return "the TLS handshake failed"
	case KindTLSTimeout:
		return "timeout during the TLS handshake"
	case KindCertificate:
		return "the certificate is not accepted"
	case KindWriteTimeout:
		return "timeout while sending the request"
	case KindHeaderTimeout:
		return "timeout while waiting for the answer"
	case KindBodyTimeout:
		return "timeout while reading the answer"
	case KindConnection:
		return "the connection broke"
	case KindProtocol:
		return "the answer is not valid HTTP"
	case KindCanceled:
		return "cancelled"
	default:
		return string(k)
	}
}
