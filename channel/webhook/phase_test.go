package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

const (
	short = 150 * time.Millisecond
	long  = 10 * time.Second
)

// phase is a receiver at which an attempt gets stuck, with the limit for that phase and the kind it then has.
type phase struct {
	url       string
	limit     func(*netguard.Timeouts) *time.Duration
	kind      webhook.Kind // when the limit ends it
	late      webhook.Kind // when the caller's deadline does
	sent      bool         // the whole request was written
	answers   int          // the status that came, 0 = none
	addresses *net.Resolver
}

func phases(t *testing.T) map[string]phase {
	t.Helper()
	silent := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	begun := serveRaw(t, func(ctx context.Context, _ int, conn net.Conn) {
		if readRequest(bufio.NewReader(conn)) == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nbegun")
			<-ctx.Done()
		}
	})
	total := func(l *netguard.Timeouts) *time.Duration { return &l.Total }
	return map[string]phase{
		"resolving": {
			url: "http://receiver.invalid", addresses: resolver(t, func([]byte) []byte { return nil }),
			limit: func(l *netguard.Timeouts) *time.Duration { return &l.Connect }, kind: netguard.KindConnectTimeout, late: netguard.KindTotalTimeout,
		},
		"handshake": {
			url:   strings.Replace(silent, "http:", "https:", 1),
			limit: func(l *netguard.Timeouts) *time.Duration { return &l.TLS }, kind: netguard.KindTLSTimeout, late: netguard.KindTotalTimeout,
		},
		"header": {
			url: silent, sent: true,
			limit: func(l *netguard.Timeouts) *time.Duration { return &l.Header }, kind: netguard.KindHeaderTimeout, late: netguard.KindTotalTimeout,
		},
		"body": {url: begun, limit: total, kind: netguard.KindBodyTimeout, late: netguard.KindBodyTimeout, sent: true, answers: 200},
	}
}

func (p phase) open(t *testing.T, limits netguard.Timeouts) *webhook.Channel {
	t.Helper()
	return newChannel(t, webhook.Config{URL: p.url + "/T0P-S3CRET", Guard: guardOf(t, p.addresses), Timeouts: limits, Interpret: wantsAll})
}

// wantsAll needs the whole body to know what a response means.
func wantsAll(a webhook.Response, v retry.Verdict) webhook.Reading {
	if a.Truncated && v == retry.VerdictSuccess {
		v = retry.VerdictPermanent
	}
	return webhook.Reading{Verdict: v}
}

func TestS29_S30_TimeoutsNameTheirPhase(t *testing.T) {
	t.Parallel()
	far := netguard.Timeouts{Connect: long, TLS: long, Header: long, Total: long}
	for name, p := range phases(t) {
		t.Run(name+", own limit", func(t *testing.T) {
			t.Parallel()
			limits := far
			*p.limit(&limits) = short
			hook := p.open(t, limits)
			began := time.Now()
			receipt, err := hook.Send(t.Context(), sample())
			assert.GreaterOrEqual(t, time.Since(began), short)
			assert.Less(t, time.Since(began), long)
			p.check(t, receipt, err, p.kind)
		})
		t.Run(name+", context", func(t *testing.T) {
			t.Parallel()
			hook := p.open(t, far)
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			receipt, err := hook.Send(ctx, sample())
			p.check(t, receipt, err, p.late)
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			t.Parallel()
			hook := p.open(t, far)
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(short, cancel).Stop()
			_, err := hook.Send(ctx, sample())
			assert.Equal(t, netguard.KindCanceled, failure(t, err).Kind)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, retry.VerdictPostponed, retry.Classify(ctx, err).Verdict)
		})
	}
}

func (p phase) check(t *testing.T, receipt channel.Receipt, err error, kind webhook.Kind) {
	t.Helper()
	e := failure(t, err)
	assert.Equal(t, kind, e.Kind)
	assert.Equal(t, p.answers, e.Status)
	assert.Contains(t, e.Error(), " time")
	assert.NotContains(t, e.Error(), "T0P-S3CRET")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.Equal(t, p.sent, receipt.OutcomeUnknown, "S35: the request was written and nobody knows what came of it")
	assert.NotNil(t, receipt.Request)
	assert.Equal(t, p.answers, receipt.Status)
	assert.Positive(t, receipt.Duration)
}

// largeSample is a delivery of an event that is about as large as an event can be.
func largeSample(t *testing.T) channel.Delivery {
	t.Helper()
	d := sample()
	request, err := event.Decode[event.RequestApproved](d.Event)
	require.NoError(t, err)
	request.Justification = strings.Repeat("x", event.MaxDataSize-8<<10)
	d.Event = event.Must(request, event.Meta{})
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
	// Package net goes on waiting for a response, for seconds, when a lookup is over: the test's end has to end that
	// too.
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

func TestS49_UnknownHost(t *testing.T) {
	t.Parallel()
	hook := newChannel(t, webhook.Config{URL: "https://receiver.invalid/T0P-S3CRET", Guard: guardOf(t, resolver(t, func(query []byte) []byte {
		query[2], query[3] = 0x81, 0x83 // a response: no such name
		return query
	}))})
	receipt, err := hook.Send(t.Context(), sample())
	assert.Equal(t, netguard.KindDNS, failure(t, err).Kind)
	assert.EqualError(t, err, "POST https://receiver.invalid: destination receiver.invalid is unknown or not allowed by the outbound policy")
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.False(t, receipt.OutcomeUnknown)
	shown(t, receipt)
	_, ok := errors.AsType[*net.DNSError](err)
	assert.False(t, ok, "its text names the name server")
}

func TestS49_NobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	receipt, err := newChannel(t, webhook.Config{URL: "http://" + l.Addr().String()}).Send(t.Context(), sample())
	assert.Equal(t, netguard.KindConnect, failure(t, err).Kind)
	assert.ErrorContains(t, err, ": no connection (connection refused)")
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.False(t, receipt.OutcomeUnknown)
	shown(t, receipt)
}
