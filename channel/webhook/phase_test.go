package webhook_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

const (
	short = 200 * time.Millisecond
	long  = 10 * time.Second
)

// phase is a receiver at which an attempt gets stuck, with the limit for that phase.
type phase struct {
	open    func(t *testing.T, limits webhook.Timeouts) *webhook.Channel
	limit   func(*webhook.Timeouts) *time.Duration // nil = only the context limits it
	kind    webhook.Kind
	sent    bool // the whole request was written
	large   bool // the event is as large as can be
	answers int  // the status that came, 0 = none
}

func phases() map[string]phase {
	at := func(u string) func(*testing.T, webhook.Timeouts) *webhook.Channel {
		return func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
			t.Helper()
			return newChannel(t, webhook.Config{URL: u, Timeouts: limits})
		}
	}
	all := map[string]phase{
		"dns": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				hook := at("http://receiver.invalid/T0P-S3CRET")(t, limits)
				hook.ResolveWith(resolver(t, func([]byte) []byte { return nil }))
				return hook
			},
			limit: func(l *webhook.Timeouts) *time.Duration { return &l.Connect },
			kind:  webhook.KindDNSTimeout,
		},
		"tls": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				silent := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
				return at(strings.Replace(silent, "http:", "https:", 1)+"/T0P-S3CRET")(t, limits)
			},
			limit: func(l *webhook.Timeouts) *time.Duration { return &l.TLS },
			kind:  webhook.KindTLSTimeout,
		},
		"header": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				return at(serveRaw(t, func(_ context.Context, _ int, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })+"/T0P-S3CRET")(t, limits)
			},
			limit: func(l *webhook.Timeouts) *time.Duration { return &l.Header },
			kind:  webhook.KindHeaderTimeout,
			sent:  true,
		},
		"body": {
			open: func(t *testing.T, limits webhook.Timeouts) *webhook.Channel {
				t.Helper()
				return at(serveRaw(t, func(ctx context.Context, _ int, conn net.Conn) {
					if readRequest(bufio.NewReader(conn)) == nil {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nbegun")
						<-ctx.Done()
					}
				})+"/T0P-S3CRET")(t, limits)
			},
			kind:    webhook.KindBodyTimeout,
			sent:    true,
			answers: 200,
		},
	}
	for name, p := range socketPhases() {
		all[name] = p
	}
	return all
}

func TestTimeoutsNameTheirPhase(t *testing.T) {
	t.Parallel()
	for name, p := range phases() {
		if p.limit != nil {
			t.Run(name+", own limit", func(t *testing.T) {
				t.Parallel()
				limits := webhook.Timeouts{Connect: long, TLS: long, Header: long}
				*p.limit(&limits) = short
				hook, d := p.open(t, limits), p.delivery(t)
				began := time.Now()
				receipt, err := hook.Send(within(t, long), d)
				assert.GreaterOrEqual(t, time.Since(began), short)
				assert.Less(t, time.Since(began), long)
				p.check(t, receipt, err)
				assert.NoError(t, failure(t, err).Unwrap())
			})
		}
		t.Run(name+", context", func(t *testing.T) {
			t.Parallel()
			hook, d := p.open(t, webhook.Timeouts{Connect: long, TLS: long, Header: long}), p.delivery(t)
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			began := time.Now()
			receipt, err := hook.Send(ctx, d)
			assert.Less(t, time.Since(began), long)
			p.check(t, receipt, err)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			t.Parallel()
			hook, d := p.open(t, webhook.Timeouts{Connect: long, TLS: long, Header: long}), p.delivery(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(short, cancel).Stop()
			_, err := hook.Send(ctx, d)
			assert.Equal(t, webhook.KindCanceled, failure(t, err).Kind)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, retry.Postponed, retry.Classify(ctx, err).Verdict)
		})
	}
}

func (p phase) check(t *testing.T, receipt channel.Receipt, err error) {
	t.Helper()
	e := failure(t, err)
	assert.Equal(t, p.kind, e.Kind)
	assert.Equal(t, p.answers, e.Status)
	assert.Contains(t, e.Error(), "timeout ")
	assert.NotContains(t, e.Error(), "T0P-S3CRET")
	assert.Equal(t, retry.Transient, retry.Classify(t.Context(), err).Verdict)
	assert.Equal(t, p.sent, receipt.OutcomeUnknown)
	assert.Equal(t, p.sent || p.large, receipt.Request != nil)
	assert.Equal(t, p.answers, receipt.Status)
	assert.Positive(t, receipt.Duration)
}

// delivery is a sample, or an event that is larger than what the kernel takes from us.
func (p phase) delivery(t *testing.T) channel.Delivery {
	t.Helper()
	d := sample()
	if p.large {
		request, err := event.Decode[event.RequestApproved](d.Event)
		require.NoError(t, err)
		request.Justification = strings.Repeat("x", event.MaxDataSize-8<<10)
		d.Event = event.Must(request, event.Meta{})
	}
	return d
}

// resolver returns a resolver whose server answers a query as given, nil for not at all.
func resolver(t *testing.T, answer func(query []byte) []byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 2048)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if a := answer(buffer[:n]); a != nil {
				_, _ = server.WriteTo(a, from)
			}
		}
	}()
	// Package net goes on waiting for an answer, for seconds, when a lookup is over: the test's end has to end that too.
	over, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		end()
		server.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(over, "udp", server.LocalAddr().String())
		if err == nil {
			context.AfterFunc(over, func() { conn.Close() })
		}
		return conn, err
	}}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	hook := newChannel(t, webhook.Config{URL: "https://receiver.invalid/T0P-S3CRET"})
	hook.ResolveWith(resolver(t, func(query []byte) []byte {
		query[2], query[3] = 0x81, 0x83 // a response: no such name
		return query
	}))
	receipt, err := hook.Send(t.Context(), sample())
	assert.Equal(t, webhook.KindDNS, failure(t, err).Kind)
	assert.EqualError(t, err, "POST https://receiver.invalid: the host name cannot be resolved")
	assert.Equal(t, retry.Transient, retry.Classify(t.Context(), err).Verdict)
	assert.False(t, receipt.OutcomeUnknown)
	assert.Nil(t, receipt.Request, "nothing was sent")
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	receipt, err := newChannel(t, webhook.Config{URL: "http://" + l.Addr().String()}).Send(t.Context(), sample())
	assert.Equal(t, webhook.KindConnect, failure(t, err).Kind)
	assert.ErrorContains(t, err, ": no connection: connection refused")
	assert.Equal(t, retry.Transient, retry.Classify(t.Context(), err).Verdict)
	assert.False(t, receipt.OutcomeUnknown)
	assert.Nil(t, receipt.Request, "nothing was sent")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told of every certificate we refuse
	server.StartTLS()
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	byName := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	plain := strings.Replace(serve(t, func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1)
	for name, tc := range map[string]struct {
		url   string
		roots *x509.CertPool
		at    time.Time
		kind  webhook.Kind
		says  string
	}{
		"trusted":           {server.URL, known, time.Now(), "", ""},
		"unknown authority": {server.URL, x509.NewCertPool(), time.Now(), webhook.KindCertificate, "unknown authority"},
		"expired":           {server.URL, known, time.Now().AddDate(200, 0, 0), webhook.KindCertificate, "expired"},
		"other host":        {byName, known, time.Now(), webhook.KindCertificate, "another host"},
		"no TLS":            {plain, known, time.Now(), webhook.KindTLS, "handshake failed"},
	} {
		hook := newChannel(t, webhook.Config{URL: tc.url + "/T0P-S3CRET"})
		hook.TrustAt(tc.roots, tc.at)
		receipt, err := hook.Send(t.Context(), sample())
		if tc.kind == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Error(t, err, name)
		assert.Equal(t, tc.kind, failure(t, err).Kind, name)
		assert.ErrorContains(t, err, tc.says, name)
		assert.Equal(t, retry.Transient, retry.Classify(t.Context(), err).Verdict, "certificates get renewed")
		assert.False(t, receipt.OutcomeUnknown, name)
		assert.Nil(t, receipt.Request, name)
	}
}
