package webhook_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// selfSigned makes a certificate for 127.0.0.1, good for an hour, after edit, and its PEM form, which is its own
// authority.
func selfSigned(t *testing.T, edit func(*x509.Certificate)) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// serveTLS starts a receiver with the given TLS settings and returns its URL.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs every certificate we refuse
	s.TLS = config
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func TestS36_S40_TLS(t *testing.T) {
	t.Parallel()
	good, ca := selfSigned(t, func(*x509.Certificate) {})
	upTo := func(version uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: version}
	}
	old, oldCA := selfSigned(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	early, earlyCA := selfSigned(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	})
	other, otherCA := selfSigned(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"elsewhere.test"} })
	plain := strings.Replace(serve(t, func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1)
	for name, tc := range map[string]struct {
		server  *tls.Config
		url     string // in place of server
		client  netguard.TLS
		kind    webhook.Kind
		problem netguard.CertProblem
		pause   time.Duration
	}{
		"custom CA":          {server: &tls.Config{Certificates: []tls.Certificate{good}}, client: netguard.TLS{CAPEM: ca}},
		"system's roots":     {server: &tls.Config{Certificates: []tls.Certificate{good}}, kind: netguard.KindTLSCert, problem: netguard.CertUnknownAuthority, pause: time.Hour},
		"another CA":         {server: &tls.Config{Certificates: []tls.Certificate{good}}, client: netguard.TLS{CAPEM: otherCA}, kind: netguard.KindTLSCert, problem: netguard.CertUnknownAuthority, pause: time.Hour},
		"expired":            {server: &tls.Config{Certificates: []tls.Certificate{old}}, client: netguard.TLS{CAPEM: oldCA}, kind: netguard.KindTLSCert, problem: netguard.CertExpired, pause: time.Hour},
		"not yet valid":      {server: &tls.Config{Certificates: []tls.Certificate{early}}, client: netguard.TLS{CAPEM: earlyCA}, kind: netguard.KindTLSCert, problem: netguard.CertNotYetValid, pause: time.Hour},
		"wrong host":         {server: &tls.Config{Certificates: []tls.Certificate{other}}, client: netguard.TLS{CAPEM: otherCA}, kind: netguard.KindTLSCert, problem: netguard.CertHostMismatch, pause: time.Hour},
		"server name":        {server: &tls.Config{Certificates: []tls.Certificate{other}}, client: netguard.TLS{CAPEM: otherCA, ServerName: "elsewhere.test"}},
		"not verified":       {server: &tls.Config{Certificates: []tls.Certificate{old}}, client: netguard.TLS{InsecureSkipVerify: true}},
		"old version":        {server: upTo(tls.VersionTLS11), client: netguard.TLS{CAPEM: ca}, kind: netguard.KindTLSVersion},
		"1.2 where 1.3 must": {server: upTo(tls.VersionTLS12), client: netguard.TLS{CAPEM: ca, MinVersion: tls.VersionTLS13}, kind: netguard.KindTLSVersion},
		"client certificate": {server: &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, client: netguard.TLS{CAPEM: ca}, kind: netguard.KindTLSClientCert, pause: time.Hour},
		"no TLS":             {url: plain, kind: netguard.KindTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.server != nil {
				tc.url = serveTLS(t, tc.server)
			}
			hook := newChannel(t, webhook.Config{URL: tc.url + "/T0P-S3CRET", TLS: tc.client, Logger: slog.New(slog.DiscardHandler)})
			receipt, err := hook.Send(t.Context(), sample())
			if tc.kind == "" {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, tc.kind, failure(t, err).Kind)
			n, ok := errors.AsType[*netguard.Error](err)
			require.True(t, ok)
			assert.Equal(t, tc.problem, n.Cert)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: tc.pause}, retry.Classify(t.Context(), err), "certificates get renewed")
			assert.False(t, receipt.OutcomeUnknown)
		})
	}
}

// Verification that is off is said at load and wherever the channel is shown.
func TestS37_SkippedVerificationIsReported(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	config := webhook.Config{URL: "https://hooks.test/T0P-S3CRET", Logger: logger}
	assert.Equal(t, "webhook.Channel(POST https://hooks.test)", fmt.Sprint(newChannel(t, config)))
	assert.Empty(t, out.String())

	config.TLS.InsecureSkipVerify = true
	assert.Equal(t, "webhook.Channel(POST https://hooks.test, certificates are not verified)", fmt.Sprint(newChannel(t, config)))
	assert.Contains(t, out.String(), "level=WARN")
	assert.Contains(t, out.String(), "origin=https://hooks.test\n")
}
