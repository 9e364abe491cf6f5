package netguard

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// TLS says how a server is authenticated, and how we are. The zero TLS verifies the server with the system's roots and
// requires TLS 1.2.
type TLS struct {
	MinVersion  uint16 // tls.VersionTLS12 if 0; lower than that only with AllowLegacy
	AllowLegacy bool   // permits TLS 1.0 and 1.1, and makes 1.0 the minimum if MinVersion is 0

	// CAPEM holds the certificates, in PEM form, by which the server is verified *instead of* the system's roots. To
	// extend those, put both into it. Text between the certificates is ignored, anything else in PEM form is an error.
	CAPEM []byte

	ClientCertificate *ClientCertificate // nil = none

	// ServerName is sent (SNI) and verified in place of the host that is called.
	ServerName string

	// InsecureSkipVerify accepts any certificate. Whoever sits between us and the receiver can then read and change
	// everything; report it wherever the channel is shown.
	InsecureSkipVerify bool

	// VerifyConnection, if set, is called after the usual verification and may refuse, for example short keys.
	VerifyConnection func(tls.ConnectionState) error
}

// Config makes a tls.Config of t, for use with a connection of [Guard.DialContext]; HTTP clients do this themselves.
// The error joins a *channel.ConfigError for every problem. Failed handshakes can be told apart with [Classify].
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: t.MinVersion, InsecureSkipVerify: t.InsecureSkipVerify, GetClientCertificate: t.ClientCertificate.forHandshake} //nolint:gosec // the operator's own switch, off by default
	var errs []error
	switch {
	case c.MinVersion == 0 && t.AllowLegacy:
		c.MinVersion = tls.VersionTLS10
	case c.MinVersion == 0:
		c.MinVersion = tls.VersionTLS12
	case c.MinVersion < tls.VersionTLS10 || c.MinVersion > tls.VersionTLS13:
		errs = append(errs, mistake(channel.CodeUnknown, "MinVersion", "is not a version", "use TLS 1.2 or 1.3"))
	case c.MinVersion < tls.VersionTLS12 && !t.AllowLegacy:
		errs = append(errs, mistake(channel.CodeRange, "MinVersion", "is lower than 1.2", "use TLS 1.2 or 1.3, or allow legacy TLS"))
	}
	if len(t.CAPEM) > 0 {
		roots, problem := parseCA(t.CAPEM)
		if problem != "" {
			errs = append(errs, mistake(channel.CodeInvalid, "CAPEM", problem, "give one or more certificates in PEM form"))
		}
		c.RootCAs = roots
	}
	if t.ServerName != "" {
		name, err := CheckHost("ServerName", t.ServerName)
		errs = append(errs, channel.ConfigErrorsAt(err, pkg, ""))
		c.ServerName = name
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if t.VerifyConnection != nil {
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if err := t.VerifyConnection(state); err != nil {
				return &connectionRefusedError{err}
			}
			return nil
		}
	}
	return c, nil
}

// connectionRefusedError marks what VerifyConnection returned.
type connectionRefusedError struct{ err error }

func (e *connectionRefusedError) Error() string {
	return "connection refused by VerifyConnection: " + e.err.Error()
}

// parseCA is strict, because x509.CertPool skips what it cannot read and a typing error would then show as a
// certificate nobody trusts. problem is "" if all is well.
func parseCA(text []byte) (pool *x509.CertPool, problem string) {
	pool = x509.NewCertPool()
	n := 0
	for rest := text; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Sprintf("has something else than a certificate as block %d", n+1)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Sprintf("cannot be read at block %d", n+1)
		}
		pool.AddCert(cert)
	}
	if n == 0 {
		return nil, "holds no certificate"
	}
	// pem.Decode skips a block it cannot read as if it were text.
	if begun := strings.Count(string(text), "-----BEGIN"); begun != n {
		return nil, fmt.Sprintf("has %d blocks, of which only %d can be read", begun, n)
	}
	return pool, ""
}

// tlsKey identifies a TLS configuration: connections may be shared between equal ones.
type tlsKey struct {
	min              uint16
	legacy, insecure bool
	ca, serverName   string
	certificate      *ClientCertificate
	hook             *byte // unique if there is a VerifyConnection: functions cannot be compared
}

func (t TLS) key() tlsKey {
	k := tlsKey{
		min: t.MinVersion, legacy: t.AllowLegacy, insecure: t.InsecureSkipVerify,
		ca: string(t.CAPEM), serverName: t.ServerName, certificate: t.ClientCertificate,
	}
	if t.VerifyConnection != nil {
		k.hook = new(byte)
	}
	return k
}
