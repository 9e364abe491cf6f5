package netguard

import (
	"bufio"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

func TestS40_CertificateProblemsAreToldApart(t *testing.T) {
	t.Parallel()
	ca, other, sha1 := newAuthority(t, "test CA"), newAuthority(t, "other CA"), newRSAAuthority(t, "old CA")
	trusted := append(slices.Clone(ca.pem), sha1.pem...)
	for name, c := range map[string]struct {
		cert    tls.Certificate
		problem CertProblem
		text    string
	}{
		"expired": {ca.issue(t, "server", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), CertExpired, "it has expired"},
		"not yet valid": {ca.issue(t, "server", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}), CertNotYetValid, "it is not valid yet"},
		"wrong host": {ca.issue(t, "server", func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"internal-name.example"}
		}), CertHostMismatch, "it is for another host"},
		"unknown authority": {other.issue(t, "server", nil), CertUnknownAuthority, "its authority is not trusted"},
		"signed with SHA-1": {sha1.issue(t, "server", func(c *x509.Certificate) {
			c.SignatureAlgorithm = x509.SHA1WithRSA
		}), CertWeakSignature, "it is signed with SHA-1 or MD5, which is no longer accepted; it has to be issued anew"},
		"client use only": {ca.issue(t, "server", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), CertRefused, "it does not meet the requirements"},
	} {
		server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{c.cert}})
		g := loopbackGuard(t)
		client := newClient(t, g, ClientOptions{TLS: TLS{CAPEM: trusted}})
		_, err := do(t, client, post(t, server.URL+"/s3cret", "x"))
		e := requireKind(t, err, KindTLSCert)
		assert.Equal(t, c.problem, e.Cert, name)
		assert.Equal(t, "POST "+server.URL+": the server's certificate was not accepted ("+c.text+")", err.Error(), name)
		assert.False(t, e.OutcomeUnknown, name)
		assert.NotEmpty(t, e.Detail(), name)
		require.NoError(t, errors.Unwrap(err), name)

		// S37: only the switch that says so turns verification off.
		_, err = do(t, newClient(t, g, ClientOptions{TLS: TLS{CAPEM: ca.pem, InsecureSkipVerify: true}}), post(t, server.URL, "x"))
		require.NoError(t, err, name)
	}
}

func TestS37_TheZeroValueVerifies(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}})
	_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{}), post(t, server.URL, "x"))
	assert.Equal(t, CertUnknownAuthority, requireKind(t, err, KindTLSCert).Cert)
	_, err = do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem}}), post(t, server.URL, "x"))
	require.NoError(t, err)
}

func TestS36_Versions(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	cert := ca.issue(t, "server", nil)
	for name, c := range map[string]struct {
		lowest, highest uint16 // of the server
		client          TLS
		ok              bool
	}{
		"old server":                          {tls.VersionTLS10, tls.VersionTLS11, TLS{}, false},
		"old server, legacy allowed":          {tls.VersionTLS10, tls.VersionTLS11, TLS{AllowLegacy: true}, true},
		"old server, 1.1 chosen":              {tls.VersionTLS10, tls.VersionTLS11, TLS{AllowLegacy: true, MinVersion: tls.VersionTLS11}, true},
		"oldest server, 1.1 chosen":           {tls.VersionTLS10, tls.VersionTLS10, TLS{AllowLegacy: true, MinVersion: tls.VersionTLS11}, false},
		"1.2 server":                          {tls.VersionTLS12, tls.VersionTLS12, TLS{}, true},
		"1.2 server, 1.3 wanted":              {tls.VersionTLS12, tls.VersionTLS12, TLS{MinVersion: tls.VersionTLS13}, false},
		"1.2 server, 1.3 wanted, also legacy": {tls.VersionTLS12, tls.VersionTLS12, TLS{MinVersion: tls.VersionTLS13, AllowLegacy: true}, false},
		"1.3 server":                          {tls.VersionTLS13, tls.VersionTLS13, TLS{MinVersion: tls.VersionTLS13}, true},
	} {
		server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: c.lowest, MaxVersion: c.highest})
		c.client.CAPEM = ca.pem
		_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: c.client}), post(t, server.URL, "x"))
		if c.ok {
			require.NoError(t, err, name)
			continue
		}
		assert.False(t, requireKind(t, err, KindTLSVersion).OutcomeUnknown, name)
	}
	for _, bad := range []TLS{{MinVersion: tls.VersionTLS11}, {MinVersion: tls.VersionTLS10}, {MinVersion: 0x0300, AllowLegacy: true}, {MinVersion: 0x0305}} {
		_, err := bad.Config()
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "MinVersion", e.Path)
	}
}

// Servers that know no forward secrecy were common, and Go no longer speaks with them.
func TestRSAKeyExchangeOnlyIsAKindOfItsOwn(t *testing.T) {
	t.Parallel()
	ca := newRSAAuthority(t, "test CA")
	old := &tls.Config{
		Certificates: []tls.Certificate{ca.issueFor(t, "server", newRSAKey(t), nil)}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA}, //nolint:gosec // what old servers have
	}
	server := newTLSServer(t, old)
	_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem}}), post(t, server.URL, "x"))
	e := requireKind(t, err, KindTLSCipher)
	assert.Equal(t, "POST "+server.URL+": the server offers no acceptable cipher or key exchange (it may know RSA key exchange only, which is no longer used)", err.Error())
	assert.False(t, e.OutcomeUnknown)
}

// SNI and certificates have no dot at the end, and may have an underscore.
func TestTLSWithUnusualNames(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	var sni atomic.Value
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"my_host.example", "ab--cd.example"}
	})}}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		sni.Store(hello.ServerName)
		return nil, nil
	}
	server := newTLSServer(t, config)
	addresses := map[string][]string{"my_host.example": {"127.0.0.1"}, "ab--cd.example": {"127.0.0.1"}}
	g := newGuard(t, Profile{Loopback: true}, newResolver(t, fixedNames(addresses)))
	client := newClient(t, g, ClientOptions{TLS: TLS{CAPEM: ca.pem}})
	for host, want := range map[string]string{
		"my_host.example": "my_host.example", "my_host.example.": "my_host.example", "ab--cd.example": "ab--cd.example", "ab--cd.example.": "ab--cd.example",
	} {
		u, err := ParseURL("url", named(t, server.URL, host), Limits{})
		require.NoError(t, err)
		_, err = do(t, client, post(t, u.String(), "x"))
		require.NoError(t, err, host)
		assert.Equal(t, want, sni.Load(), host)
	}
}

func TestS36_S40_OtherFailures(t *testing.T) {
	t.Parallel()
	plainServer := newRawServer(t, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadByte()
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	banner := newRawServer(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n"); untilClosed(conn) })
	closing := newRawServer(t, func(conn net.Conn) { _, _ = bufio.NewReader(conn).Peek(1 << 8) })
	alert := newRawServer(t, func(conn net.Conn) { _, _ = conn.Write([]byte("\x15\x03\x03\x00\x02\x02\x50")); untilClosed(conn) }) // internal error
	for _, c := range []struct {
		server *rawServer
		kinds  []Kind
	}{{plainServer, []Kind{KindTLS}}, {banner, []Kind{KindTLS}}, {closing, []Kind{KindEOF, KindReset}}, {alert, []Kind{KindTLS}}} {
		_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{}), post(t, strings.Replace(c.server.url, "http", "https", 1), "x"))
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Contains(t, c.kinds, e.Kind, "%v", err)
		assert.False(t, e.OutcomeUnknown)
	}
}

// A failure of TLS on a connection in use comes after the request, unlike one in the handshake.
func TestS35_OutcomeIsUnknownWhenTLSBreaksLater(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}}
	server := newRawServer(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		reader := bufio.NewReader(secured)
		if readRequest(reader) {
			_, _ = io.WriteString(secured, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		if readRequest(reader) {
			_, _ = io.WriteString(conn, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32)) // a record with a wrong code
			untilClosed(conn)
		}
	})
	c := newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem}})
	target := strings.Replace(server.url, "http", "https", 1)
	_, err := do(t, c, post(t, target, "x"))
	require.NoError(t, err)
	_, err = do(t, c, post(t, target, "x"))
	assert.True(t, requireKind(t, err, KindTLS).OutcomeUnknown)
	assert.EqualValues(t, 1, server.connections.Load())
}

func TestS38_CustomCA(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "test CA"), newAuthority(t, "other CA")
	server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}})
	both := "# a comment\n" + string(other.pem) + "\nanother comment\n" + string(ca.pem)
	_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: []byte(both)}}), post(t, server.URL, "x"))
	require.NoError(t, err)
	_, err = do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: other.pem}}), post(t, server.URL, "x"))
	requireKind(t, err, KindTLSCert)

	_, key := pemPair(t, ca.issue(t, "x", nil))
	broken := strings.Replace(string(ca.pem), "\n", "\n!", 2)
	for name, c := range map[string]struct{ text, reason string }{
		"no PEM":                    {"certificate", "holds no certificate"},
		"a space":                   {" ", "holds no certificate"},
		"a key":                     {string(ca.pem) + string(key), "something else than a certificate as block 2"},
		"not a certificate":         {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("s3cret")})), "cannot be read at block 1"},
		"damaged":                   {broken, "holds no certificate"},
		"one good, one damaged":     {string(ca.pem) + broken, "has 2 blocks, of which only 1 can be read"},
		"one good, one cut":         {string(ca.pem) + string(other.pem[:len(other.pem)-30]), "has 2 blocks, of which only 1 can be read"},
		"begins in the middle only": {string(ca.pem[40:]), "holds no certificate"},
	} {
		_, err := TLS{CAPEM: []byte(c.text)}.Config()
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, name)
		assert.Equal(t, "CAPEM", e.Path)
		assert.Contains(t, e.Problem, c.reason, name)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func TestS39_ServerName(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	names := make(chan string, 1)
	server := newTLSServer(t, &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, "server", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"real.example"} })},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- h.ServerName
			return nil, nil
		},
	})
	_, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ServerName: "Real.Example"}}), post(t, server.URL, "x"))
	require.NoError(t, err)
	assert.Equal(t, "real.example", <-names)
	_, err = do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ServerName: "wrong.example"}}), post(t, server.URL, "x"))
	assert.Equal(t, CertHostMismatch, requireKind(t, err, KindTLSCert).Cert)
	assert.Equal(t, "wrong.example", <-names)
	_, err = TLS{ServerName: "a b"}.Config()
	require.Error(t, err)
}

func TestS40_VerifyConnectionMayRefuse(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	server := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", nil)}})
	for refuse, kind := range map[bool]Kind{true: KindTLSCert, false: ""} {
		c := newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, VerifyConnection: func(s tls.ConnectionState) error {
			if _, short := s.PeerCertificates[0].PublicKey.(*rsa.PublicKey); short || refuse {
				return errors.New("s3cret")
			}
			return nil
		}}})
		_, err := do(t, c, post(t, server.URL, "x"))
		if kind == "" {
			require.NoError(t, err)
			continue
		}
		assert.Equal(t, CertRefused, requireKind(t, err, kind).Cert)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func clientAuthServer(t *testing.T, ca *authority, version uint16) (url string) {
	t.Helper()
	return newTLSServer(t, &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, "server", nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: version,
	}).URL
}

func TestS39_ClientCertificateRequired(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "test CA"), newAuthority(t, "other CA")
	from := func(a *authority) *ClientCertificate {
		pair := a.issue(t, "tocsin", nil)
		c, err := CertificateFunc(t.Context(), func(context.Context) (tls.Certificate, error) { return pair, nil })
		require.NoError(t, err)
		return c
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		target := clientAuthServer(t, ca, version)
		name, err := do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ClientCertificate: from(ca)}}), post(t, target, "x"))
		require.NoError(t, err)
		assert.Equal(t, "tocsin", name)
		for _, c := range []*ClientCertificate{nil, from(other)} {
			_, err = do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ClientCertificate: c}}), post(t, target, "x"))
			e := requireKind(t, err, KindTLSClientCert)
			assert.False(t, e.OutcomeUnknown, "the handshake failed, though TLS 1.3 lets us write before we know")
		}
	}
}

func TestS39_CertificateFuncErrors(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	good, other := ca.issue(t, "a", nil), ca.issue(t, "b", nil)
	for name, pair := range map[string]tls.Certificate{
		"mismatch": {Certificate: good.Certificate, PrivateKey: other.PrivateKey}, "no key": {Certificate: good.Certificate}, "empty": {},
		"no signer": {Certificate: good.Certificate, PrivateKey: "s3cret"}, "no certificate": {Certificate: [][]byte{[]byte("s3cret")}, PrivateKey: good.PrivateKey},
	} {
		_, err := CertificateFunc(t.Context(), func(context.Context) (tls.Certificate, error) { return pair, nil })
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, name)
		assert.Equal(t, "ClientCertificate", e.Path)
		assert.NotContains(t, err.Error(), "s3cret")
	}
	_, err := CertificateFunc(t.Context(), func(context.Context) (tls.Certificate, error) { return good, errors.New("s3cret") })
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret")

	// It fails later.
	fail := false
	c, err := CertificateFunc(t.Context(), func(context.Context) (tls.Certificate, error) {
		if fail {
			return tls.Certificate{}, errors.New("s3cret")
		}
		return good, nil
	})
	require.NoError(t, err)
	fail = true
	_, err = do(t, newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ClientCertificate: c}}), post(t, clientAuthServer(t, ca, 0), "x"))
	requireKind(t, err, KindTLSClientCert)
	assert.NotContains(t, err.Error(), "s3cret")
	require.ErrorContains(t, err, "could not be loaded")
}

type certFiles struct{ cert, key string }

func newCertFiles(t *testing.T, pair tls.Certificate) certFiles {
	t.Helper()
	dir := t.TempDir()
	f := certFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	f.write(t, pair)
	return f
}

// write replaces the files as a certificate manager does: by renaming.
func (f certFiles) write(t *testing.T, pair tls.Certificate) {
	t.Helper()
	cert, key := pemPair(t, pair)
	replaceFile(t, f.cert, cert)
	replaceFile(t, f.key, key)
}

func replaceFile(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", data, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestS39_CertificateRotatedWhileRunning(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	target := clientAuthServer(t, ca, 0)
	files := newCertFiles(t, ca.issue(t, "first", nil))
	c, err := certificateFromFiles(files.cert, files.key, 0)
	require.NoError(t, err)
	client := newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem, ClientCertificate: c}})
	send := func() string {
		name, err := do(t, client, post(t, target, "x"))
		require.NoError(t, err)
		return name
	}
	assert.Equal(t, "first", send())
	assert.Equal(t, "first", send())
	require.NoError(t, c.Problem())

	files.write(t, ca.issue(t, "second", nil))
	assert.Equal(t, "second", send(), "though there was an idle connection")

	// In the middle of a change the files do not fit together, or one is missing.
	third := ca.issue(t, "third", nil)
	cert, key := pemPair(t, third)
	replaceFile(t, files.cert, cert)
	assert.Equal(t, "second", send())
	require.ErrorContains(t, c.Problem(), "does not belong to the key")
	require.NoError(t, os.Remove(files.key))
	assert.Equal(t, "second", send())
	require.ErrorContains(t, c.Problem(), "does not exist")
	replaceFile(t, files.key, key)
	assert.Equal(t, "third", send())
	require.NoError(t, c.Problem())
}

func TestS39_CertificateFilesAreCheckedAtOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	good, other := newCertFiles(t, ca.issue(t, "a", nil)), newCertFiles(t, ca.issue(t, "b", nil))
	for name, c := range map[string]struct{ cert, key, reason string }{
		"mismatch": {good.cert, other.key, "does not belong to the key"}, "swapped": {good.key, good.cert, "cannot be read"},
		"no certificate": {good.cert + "x", good.key, "does not exist"}, "no key": {good.cert, good.key + "x", "does not exist"},
	} {
		_, err := CertificateFiles(c.cert, c.key)
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, name)
		assert.Contains(t, e.Problem, c.reason, name)
	}
	c, err := CertificateFiles(good.cert, good.key)
	require.NoError(t, err)
	require.NoError(t, c.Problem())
}

func TestS39_FilesAreLookedAtOncePerInterval(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	files := newCertFiles(t, ca.issue(t, "a", nil))
	c, err := certificateFromFiles(files.cert, files.key, time.Hour)
	require.NoError(t, err)
	files.write(t, ca.issue(t, "b", nil))
	assert.EqualValues(t, 1, c.generation())
}

// TestS39_RefusedCertificateIsNoReset repeats what goes either way: under TLS 1.3 the server's alert races with our
// request, which may fail to be written before the alert is read.
func TestS39_RefusedCertificateIsNoReset(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	target := clientAuthServer(t, ca, tls.VersionTLS13)
	client := newClient(t, loopbackGuard(t), ClientOptions{TLS: TLS{CAPEM: ca.pem}})
	for range 100 {
		_, err := do(t, client, post(t, target, "x"))
		requireKind(t, err, KindTLSClientCert)
	}
}
