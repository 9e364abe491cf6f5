package email

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// Relay is the SMTP server that takes the mail.
type Relay struct {
	// Host is a name or an IP address, without a port. Required.
	Host string
	// Port is one of Ports. 0 = 465 with TLSImplicit, else 587.
	Port int
	// Ports are those that Port may be. Empty = 25, 465, 587 and 2525.
	Ports []int
	// Mode says when the connection is encrypted. The zero value requires TLS: from the first byte on port 465, where
	// nothing else is spoken (RFC 8314), and by STARTTLS on others.
	Mode TLSMode
	// TLS says how the relay is verified, in every mode. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Auth is how we log in: [Password], [OAuth], or the zero value for not at all.
	Auth Auth
	// AllowPlaintextAuth sends Auth also over a connection that is not encrypted, where anybody on the way can read it.
	AllowPlaintextAuth bool
}

// TLSMode says when a connection is encrypted.
type TLSMode uint8

// The TLS modes.
const (
	TLSRequired      TLSMode = iota // STARTTLS; nothing is sent to a relay that does not offer it. Port 465: TLSImplicit
	TLSImplicit                     // from the first byte, as on port 465
	TLSOpportunistic                // STARTTLS if the relay offers it, else in clear: whoever sits in between decides
	TLSNone                         // in clear
)

// String returns the name of the mode.
func (m TLSMode) String() string {
	switch m {
	case TLSRequired:
		return "starttls"
	case TLSImplicit:
		return "implicit"
	case TLSOpportunistic:
		return "opportunistic"
	case TLSNone:
		return "none"
	default:
		return "unknown"
	}
}

const (
	submissionPort  = 587 // RFC 6409
	submissionsPort = 465 // RFC 8314
)

func (r Relay) withDefaults() Relay {
	if len(r.Ports) == 0 {
		r.Ports = []int{25, submissionsPort, submissionPort, 2525}
	}
	if r.Port == submissionsPort && r.Mode == TLSRequired {
		r.Mode = TLSImplicit
	}
	if r.Port == 0 {
		r.Port = submissionPort
		if r.Mode == TLSImplicit {
			r.Port = submissionsPort
		}
	}
	return r
}

// check returns every problem of a Relay with its defaults filled in, besides those of Host and TLS.
func (r Relay) check() error {
	limits := netguard.Limits{Ports: r.Ports}
	errs := []error{
		channel.ConfigErrorsAt(limits.Check(), pkg, "Relay"),
		channel.ConfigErrorsAt(limits.CheckPort("Relay.Port", r.Port), pkg, ""),
	}
	if r.Mode > TLSNone {
		errs = append(errs, mistake(channel.CodeUnknown, "Relay.Mode", "is not one of the constants", "use one of them"))
	}
	if r.Port == submissionsPort && (r.Mode == TLSOpportunistic || r.Mode == TLSNone) {
		errs = append(errs, mistake(channel.CodeConflict, "Relay.Mode", "is "+r.Mode.String()+", which port 465 does not speak", "use implicit, or port 587"))
	}
	if r.Mode == TLSNone && r.Auth.mechanism != none && !r.AllowPlaintextAuth {
		errs = append(errs, mistake(channel.CodeConflict, "Relay.Auth", "would never be sent, because the connection is not encrypted", "use TLS"))
	}
	return errors.Join(append(errs, r.Auth.check())...)
}
