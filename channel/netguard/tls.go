package netguard

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
// The error joins a *channel.ConfigError for every problem. [Classify] says why a handshake failed.
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: t.MinVersion, InsecureSkipVerify: t.InsecureSkipVerify, GetClientCertificate: t.ClientCertificate.forHandshake} //nolint:gosec // the operator's own switch, off by default
	var errs []error
	switch {
	case c.MinVersion == 0 && t.AllowLegacy:
		c.MinVersion = tls.VersionTLS10
	case c.MinVersion == 0:
		c.MinVersion = tls.VersionTLS12
	case c.MinVersion < tls.VersionTLS10 || c.MinVersion > tls.VersionTLS13:
		errs = append(errs, configError(channel.CodeUnknown, "MinVersion", "is not a version", "use TLS 1.2 or 1.3"))
	case c.MinVersion < tls.VersionTLS12 && !t.AllowLegacy:
		errs = append(errs, configError(channel.CodeRange, "MinVersion", "is lower than 1.2", "use TLS 1.2 or 1.3, or allow legacy TLS"))
	}
	if len(t.CAPEM) > 0 {
		roots, problem := parseCA(t.CAPEM)
		if problem != "" {
			errs = append(errs, configError(channel.CodeInvalid, "CAPEM", problem, "give one or more certificates in PEM form"))
		}
		c.RootCAs = roots
	}
	if t.ServerName != "" {
		name, err := ParseHost("ServerName", t.ServerName)
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

// ClientCertificate is what we show to servers that ask who we are. Make one with [CertificateFiles] or
// [CertificateFunc]; it is safe for concurrent use and may be shared by channels.
type ClientCertificate struct {
	load  func(context.Context) (*tls.Certificate, error)
	files *certificateFiles // nil with a function
}

// CertificateFunc is a client certificate that f returns, once now, to validate it, and for every new connection.
// Connections that exist are kept; close them with [Client.CloseIdleConnections] after a change. The key may be held
// elsewhere: PrivateKey need only be a crypto.Signer. The error is a *channel.ConfigError without the text of f's
// error.
func CertificateFunc(ctx context.Context, f func(context.Context) (tls.Certificate, error)) (*ClientCertificate, error) {
	c := &ClientCertificate{load: func(ctx context.Context) (*tls.Certificate, error) {
		pair, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return &pair, verifyPair(&pair)
	}}
	if _, err := c.load(ctx); err != nil {
		return nil, pairError(err)
	}
	return c, nil
}

// CertificateFiles is a client certificate, with its chain, and its key in PEM files. They are checked for changes at
// most once a second, when a request is made. After a change new connections are made with the new pair and the old
// ones are closed; as long as the files do not fit together or cannot be read, which is normal in the middle of a
// change, the last good pair is used and Problem says why. The error is a *channel.ConfigError.
func CertificateFiles(certFile, keyFile string) (*ClientCertificate, error) {
	return certificateFromFiles(certFile, keyFile, time.Second)
}

func certificateFromFiles(certFile, keyFile string, interval time.Duration) (*ClientCertificate, error) {
	f := &certificateFiles{cert: certFile, key: keyFile, interval: interval}
	if pair, _ := f.current(); pair == nil {
		return nil, f.problem
	}
	load := func(context.Context) (*tls.Certificate, error) { pair, _ := f.current(); return pair, nil }
	return &ClientCertificate{load, f}, nil
}

// Problem says why a changed pair of files is not used, as a *channel.ConfigError; nil if all is well.
func (c *ClientCertificate) Problem() error {
	if c.files == nil {
		return nil
	}
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	return c.files.problem
}

// generation counts the changes of the files; a Client makes new connections when it changes.
func (c *ClientCertificate) generation() uint64 {
	if c == nil || c.files == nil {
		return 0
	}
	_, n := c.files.current()
	return n
}

// forHandshake is called when a server asks for a certificate, also if there is none: that it asked says what a
// handshake failure means.
func (c *ClientCertificate) forHandshake(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if requested, ok := info.Context().Value(certRequestedKey{}).(*certRequested); ok {
		requested.Store(true)
	}
	if c == nil || c.load == nil {
		return &tls.Certificate{}, nil
	}
	pair, err := c.load(info.Context())
	if err != nil {
		return nil, &clientCertError{}
	}
	return pair, nil
}

// certRequested is set when the server of a handshake asks for a certificate. It is in the handshake's context.
type certRequested struct{ atomic.Bool }

type certRequestedKey struct{}

// clientCertError says that our own certificate could not be loaded; the cause might hold anything.
type clientCertError struct{}

func (*clientCertError) Error() string { return "client certificate could not be loaded" }

var errMismatch = errors.New("does not belong to the key")

type certificateFiles struct {
	cert, key string
	interval  time.Duration // between checks for changes

	mu      sync.Mutex
	next    time.Time
	infos   [2]os.FileInfo
	pair    *tls.Certificate // the last good one
	count   uint64           // of changes
	problem error            // why the pair is not that of the files; a *channel.ConfigError
}

// current returns the last good pair, nil if there never was one, and how often it has changed.
func (f *certificateFiles) current() (*tls.Certificate, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Before(f.next) {
		return f.pair, f.count
	}
	f.next = now.Add(f.interval)
	var infos [2]os.FileInfo
	var err error
	if infos[0], err = os.Stat(f.cert); err == nil {
		infos[1], err = os.Stat(f.key)
	}
	if err == nil && f.pair != nil && sameFile(infos[0], f.infos[0]) && sameFile(infos[1], f.infos[1]) {
		f.problem = nil
		return f.pair, f.count
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	if err != nil {
		f.problem = pairError(err)
		return f.pair, f.count
	}
	// The files may have changed again while they were read; infos is from before, so the next check notices.
	f.infos, f.pair = infos, &pair
	f.count++
	f.problem = nil
	return f.pair, f.count
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// verifyPair verifies that certificate and key belong together.
func verifyPair(pair *tls.Certificate) error {
	if len(pair.Certificate) == 0 || pair.PrivateKey == nil {
		return errMismatch
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return errMismatch
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return errMismatch
	}
	return nil
}

func pairError(err error) error {
	reason := "cannot be read, or does not belong to the key"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "or its key does not exist"
	case errors.Is(err, fs.ErrPermission):
		reason = "or its key may not be read by this process"
	case errors.Is(err, errMismatch):
		reason = errMismatch.Error()
	}
	return configError(channel.CodeInvalid, "ClientCertificate", reason, "give a certificate and the key it was made for, in PEM form")
}
