package config_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
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

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// proxied are options with a proxy of the name corporate, and what it was asked for. It answers everything itself, and
// repeats what it should not.
func proxied(t *testing.T) (config.Options, <-chan string) {
	t.Helper()
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String() + " " + r.Header.Get("Proxy-Authorization")
		w.Header().Set("X-Echo", r.Header.Get("Proxy-Authorization"))
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "I got not-a-real-proxy-password")
	}))
	t.Cleanup(proxy.Close)
	o := lab(t)
	o.Proxies = map[string]*netguard.Proxy{"corporate": {
		URL: proxy.URL, User: "tocsin", Password: secret.Literal("not-a-real-proxy-password"), Profile: netguard.Profile{Loopback: true},
	}}
	return o, asked
}

func sendTo(t *testing.T, c channel.Channel) (channel.Receipt, error) {
	t.Helper()
	return c.Send(t.Context(), channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "route"}, Attempt: 1})
}

// A channel sends through the proxy that it names, and shows nothing of what the proxy wants.
func TestChannelsSendThroughAProxyByName(t *testing.T) {
	t.Parallel()
	o, asked := proxied(t)
	var logged bytes.Buffer
	o.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for name, src := range map[string]string{
		"webhook": labHook("http://127.0.0.1:9/in", "proxy: corporate"),
		"slack":   strings.Replace(labHook("http://127.0.0.1:9/in", "proxy: corporate"), "webhook", "slack", 1),
	} {
		set := load(t, "a.yaml", src, o)
		receipt, err := sendTo(t, set.Routes[0].Channel)
		require.Error(t, err, name)
		assert.Equal(t, "http://127.0.0.1:9/in Basic "+base64.StdEncoding.EncodeToString([]byte("tocsin:not-a-real-proxy-password")), <-asked, name)
		written, marshalErr := json.Marshal([]any{receipt, set.Document})
		require.NoError(t, marshalErr)
		for _, text := range []string{err.Error(), string(written), fmt.Sprintf("%+v %#v", receipt, set), logged.String(), reveal(t, set.Document)} {
			assert.NotContains(t, text, "not-a-real-proxy-password", name)
			assert.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte("tocsin:not-a-real-proxy-password")), name)
		}
		assert.Contains(t, string(set.Document.YAML()), "proxy: corporate")
	}
}

func TestProxiesAndCertificatesThatAreNotOffered(t *testing.T) {
	t.Parallel()
	o, _ := proxied(t)
	_, err := config.Load("a.yaml", []byte(labHook("http://127.0.0.1:9/in", "proxy: corprate\nclient_certificate: mtls")), o)
	require.EqualError(t, err, `a.yaml:7:12: channels[0].proxy is not offered by the host; name one that is; did you mean "corporate"?
a.yaml:8:25: channels[0].client_certificate is not offered by the host; leave it out; the host offers none`)
	_, err = config.Load("a.yaml", []byte(hook("proxy:\nclient_certificate:", "")), o)
	require.EqualError(t, err, `a.yaml:5:5: channels[0].proxy has no value; give one, or remove the field
a.yaml:6:5: channels[0].client_certificate has no value; give one, or remove the field`)
	// A mistake of the host's is where the document names it.
	o.Proxies["corporate"] = &netguard.Proxy{URL: "socks5://not-a-real-host"}
	_, err = config.Load("a.yaml", []byte(labHook("http://127.0.0.1:9/in", "proxy: corporate")), o)
	require.ErrorContains(t, err, "a.yaml:7:12: channels[0].proxy has a scheme other than http")
	assert.NotContains(t, err.Error(), "not-a-real")
}

// Another proxy gets what the channel sends: its secrets have to be given again. Another client certificate does not.
func TestSecretsAreNotKeptForAnotherProxy(t *testing.T) {
	t.Parallel()
	o, _ := proxied(t)
	o.ClientCertificates = map[string]*netguard.ClientCertificate{"mtls": clientCertificate(t, "one"), "other": clientCertificate(t, "two")}
	const secrets = "\nauth: {kind: bearer, token: not-a-real-token}"
	for fields, kept := range map[string]bool{
		"proxy: corporate\nclient_certificate: mtls":  true,
		"proxy: corporate\nclient_certificate: other": true,
		"client_certificate: mtls":                    false,
	} {
		set := load(t, "a.yaml", labHook("http://127.0.0.1:9/in", "proxy: corporate\nclient_certificate: mtls"+secrets), o)
		next := o
		next.Stored = set.Document
		edited, err := config.Load("b.yaml", []byte(labHook("http://127.0.0.1:9/in", fields+strings.Replace(secrets, "not-a-real-token", "'[redacted]'", 1))), next)
		if kept {
			require.NoError(t, err, fields)
			require.NoError(t, edited.Close())
			continue
		}
		require.ErrorContains(t, err, "channels[0].auth.token cannot keep its stored value, because the destination has changed", fields)
	}
}

// What a name stands for is part of a channel.
func TestAChannelLivesOnWhileItsProxyAndCertificateAreTheSame(t *testing.T) {
	t.Parallel()
	o, _ := proxied(t)
	certificate := clientCertificate(t, "one")
	o.ClientCertificates = map[string]*netguard.ClientCertificate{"mtls": certificate}
	src := labHook("http://127.0.0.1:9/in", "proxy: corporate\nclient_certificate: mtls")
	first := load(t, "a.yaml", src, o)
	o.Previous = first
	for name, test := range map[string]struct {
		change func(o *config.Options)
		same   bool
	}{
		"nothing": {func(*config.Options) {}, true},
		"a copy of the proxy": {func(o *config.Options) {
			p := *o.Proxies["corporate"]
			o.Proxies = map[string]*netguard.Proxy{"corporate": &p}
		}, true},
		"another user": {func(o *config.Options) {
			p := *o.Proxies["corporate"]
			p.User = "x"
			o.Proxies = map[string]*netguard.Proxy{"corporate": &p}
		}, false},
		"another password": {func(o *config.Options) {
			p := *o.Proxies["corporate"]
			p.Password = secret.Literal("x")
			o.Proxies = map[string]*netguard.Proxy{"corporate": &p}
		}, false},
		"another certificate": {func(o *config.Options) {
			o.ClientCertificates = map[string]*netguard.ClientCertificate{"mtls": clientCertificate(t, "one")}
		}, false},
		"more that it may name": {func(o *config.Options) {
			o.Proxies = map[string]*netguard.Proxy{"corporate": o.Proxies["corporate"], "other": {}}
		}, true},
	} {
		next := o
		test.change(&next)
		assert.Equal(t, test.same, first.Routes[0].Channel == load(t, "a.yaml", src, next).Routes[0].Channel, name)
	}
}

// clientCertificate is one with that name as its subject, which it signs itself.
func clientCertificate(t *testing.T, name string) *netguard.ClientCertificate {
	t.Helper()
	pair := selfSigned(t, name)
	c, err := netguard.CertificateFunc(t.Context(), func(context.Context) (tls.Certificate, error) { return pair, nil })
	require.NoError(t, err)
	return c
}

func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A server that asks gets the certificate that the channel names, in HTTP and from a relay.
func TestChannelsShowAClientCertificateByName(t *testing.T) {
	t.Parallel()
	o := lab(t)
	o.ClientCertificates = map[string]*netguard.ClientCertificate{"mtls": clientCertificate(t, "tocsin")}
	server := selfSigned(t, "server")
	ca, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate[0]})))
	require.NoError(t, err)
	shown := make(chan string, 10)
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown <- r.TLS.PeerCertificates[0].Subject.CommonName
	}))
	receiver.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	receiver.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	receiver.StartTLS()
	t.Cleanup(receiver.Close)
	fields := "ca_certificate: " + string(ca)
	_, err = sendTo(t, load(t, "a.yaml", labHook(receiver.URL, fields), o).Routes[0].Channel)
	require.Error(t, err)
	_, err = sendTo(t, load(t, "a.yaml", labHook(receiver.URL, fields+"\nclient_certificate: mtls"), o).Routes[0].Channel)
	require.NoError(t, err)
	assert.Equal(t, "tocsin", <-shown)

	relay, err := tls.Listen("tcp", "127.0.0.1:0", receiver.TLS)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := relay.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if secured := conn.(*tls.Conn); assert.NoError(t, secured.HandshakeContext(t.Context())) {
			shown <- secured.ConnectionState().PeerCertificates[0].Subject.CommonName
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, relay.Close())
		<-done
	})
	port := relay.Addr().(*net.TCPAddr).Port
	o.Limits["relay"] = netguard.Limits{Ports: []int{port}}
	set := load(t, "a.yaml", fmt.Sprintf("channels:\n  - {type: email, name: mail, network: lab, limits: relay, smtp_host: 127.0.0.1, smtp_port: %d, smtp_tls: implicit, from_address: a@example.com, to_addresses: [b@example.com], client_certificate: mtls, %s}\nroutes: [{name: mail, channel: mail}]\n", port, fields), o)
	_, err = sendTo(t, set.Routes[0].Channel)
	require.Error(t, err, "the relay says nothing")
	assert.Equal(t, "tocsin", <-shown)
}
