package email

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
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
	// nothing else is used (RFC 8314), and by STARTTLS on others.
	Mode TLSMode
	// TLS says how the relay is verified, in every mode. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Auth is how we log in: [Password], [OAuth], or the zero value for not at all.
	Auth Auth
	// AllowPlaintextAuth sends Auth also over a connection that is not encrypted, where it can be read on the way.
	AllowPlaintextAuth bool
}

// TLSMode says when a connection is encrypted.
type TLSMode uint8

// The TLS modes.
const (
	TLSRequired      TLSMode = iota // STARTTLS; nothing is sent to a relay that does not offer it. Port 465: TLSImplicit
	TLSImplicit                     // from the first byte, as on port 465
	TLSOpportunistic                // STARTTLS if the relay offers it, else in clear; an attacker in between can choose
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

// validate returns every problem of a Relay with its defaults filled in, besides those of Host and TLS.
func (r Relay) validate() error {
	limits := netguard.Limits{Ports: r.Ports}
	errs := []error{
		channel.ConfigErrorsAt(limits.Validate(), pkg, "Relay"),
		channel.ConfigErrorsAt(limits.ValidatePort("Relay.Port", r.Port), pkg, ""),
	}
	if r.Mode > TLSNone {
		errs = append(errs, configError(channel.CodeUnknown, "Relay.Mode", "is not one of the constants", "use one of them"))
	}
	if r.Port == submissionsPort && (r.Mode == TLSOpportunistic || r.Mode == TLSNone) {
		errs = append(errs, configError(channel.CodeConflict, "Relay.Mode", "is "+r.Mode.String()+", which port 465 does not speak", "use implicit, or port 587"))
	}
	if r.Mode == TLSNone && r.Auth.mechanism != none && !r.AllowPlaintextAuth {
		errs = append(errs, configError(channel.CodeConflict, "Relay.Auth", "would never be sent, because the connection is not encrypted", "use TLS"))
	}
	return errors.Join(append(errs, r.Auth.validate())...)
}

// Auth is how we log in to a relay. The zero value is not at all. It is printed without its credential.
type Auth struct {
	mechanism mechanism
	user      string
	value     secret.Value
}

type mechanism uint8

const (
	none mechanism = iota
	password
	oauth
)

// Password logs in with PLAIN (RFC 4616) or, where the relay offers only that, LOGIN. Neither part may be empty or hold
// a control character.
func Password(user string, value secret.Value) Auth { return Auth{password, user, value} }

// OAuth logs in with XOAUTH2, as Google and Microsoft define it. token is an access token; it expires after an hour or
// so, so that it is usually a secret.Func.
func OAuth(user string, token secret.Value) Auth { return Auth{oauth, user, token} }

// validate returns what is wrong with a as far as it is known without asking a source.
func (a Auth) validate() error {
	if a.mechanism == none {
		return nil
	}
	const field = "Relay.Auth"
	switch problem := credentialProblem(a.user); {
	case problem != "":
		return configError(codeFor(a.user), field, "has a user name that "+problem, "correct it")
	case a.value.IsZero():
		return configError(channel.CodeMissing, field, "has no password or token", "give it, or leave the log-in out")
	case a.value.IsKept():
		return configError(channel.CodeStored, field, "stands for a value that was stored before", "put the stored value in its place")
	case a.value.Source() == "literal":
		literal, err := a.value.Reveal(context.Background())
		if err != nil {
			return err
		}
		if problem := credentialProblem(literal); problem != "" {
			return configError(channel.CodeInvalid, field, "is a credential that "+problem, "correct it, for example remove a line feed at the end")
		}
	}
	return nil
}

// codeFor is the code for a value that is wrong or, if it is empty, missing.
func codeFor(value string) channel.ConfigCode {
	if value == "" {
		return channel.CodeMissing
	}
	return channel.CodeInvalid
}

// credentialProblem finds what would change the meaning of a log-in: its parts are separated by NUL or SOH.
func credentialProblem(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "holds a control character"
	}
	return ""
}

// reveal returns the credential. The error is that of secret.Value.Reveal, or a *secret.SourceError.
func (a Auth) reveal(ctx context.Context) (string, error) {
	if a.mechanism == none {
		return "", nil
	}
	credential, err := a.value.Reveal(ctx)
	if err != nil {
		return "", err
	}
	if problem := credentialProblem(credential); problem != "" {
		return "", &secret.SourceError{Source: a.value.Source(), Reason: problem}
	}
	return credential, nil
}

// smtpAuth returns the first of our mechanisms that the relay offers; nil = none. That the connection
// may carry it has been checked: go-mail's own check lets some mechanisms and some hosts pass.
func (a Auth) smtpAuth(offered, host, credential string) smtp.Auth {
	has := strings.Fields(strings.ToUpper(offered))
	switch {
	case a.mechanism == oauth && slices.Contains(has, "XOAUTH2"):
		return smtp.XOAuth2Auth(a.user, credential)
	case a.mechanism == password && slices.Contains(has, "PLAIN"):
		return smtp.PlainAuth("", a.user, credential, host, true)
	case a.mechanism == password && slices.Contains(has, "LOGIN"):
		return smtp.LoginAuth(a.user, credential, host, true)
	}
	return nil
}
