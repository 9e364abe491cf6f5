package webhook_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// answerA makes the reply to a query: the address that next returns for a question about IPv4, nothing for others.
func answerA(t *testing.T, query []byte, next func() [4]byte) []byte {
	t.Helper()
	var m dnsmessage.Message
	if !assert.NoError(t, m.Unpack(query)) {
		return nil
	}
	m.Header.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: next()},
		}}
	}
	reply, err := m.Pack()
	assert.NoError(t, err)
	return reply
}

func requireRefused(t *testing.T, receipt channel.Receipt, err error, text string) {
	t.Helper()
	e := failure(t, err)
	assert.Equal(t, netguard.KindBlocked, e.Kind)
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	assert.EqualError(t, err, text)
	assert.Equal(t, retry.Result{Verdict: retry.VerdictPermanent}, retry.Classify(t.Context(), err))
	assert.False(t, receipt.OutcomeUnknown)
	shown(t, receipt)
	assert.Zero(t, receipt.Status)
}

// The zero Config allows public addresses only.
func TestS3_S5_S11_TheDefaultGuardRefusesInternalAddresses(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"https://127.0.0.1", "https://[::1]:8443", "https://10.0.0.1", "https://192.168.1.1:8080", "https://169.254.169.254",
		"https://[fd00:ec2::254]", "https://[::ffff:10.0.0.1]", "https://metadata.google.internal", "https://0.0.0.0",
	} {
		hook, err := webhook.New(webhook.Config{URL: origin + "/T0P-S3CRET?q=T0P-S3CRET"})
		require.NoError(t, err, origin)
		receipt, err := hook.Send(t.Context(), sample())
		host := strings.TrimPrefix(origin, "https://")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		requireRefused(t, receipt, err, "POST "+origin+": destination "+strings.Trim(host, "[]")+" is not allowed by the outbound policy")
		require.NoError(t, hook.Close())
	}
}

// What the name resolves to is judged for every connection, and is not shown: the error would read internal DNS for
// whoever may configure a webhook.
func TestS2_S11_RebindingIsRefusedWithoutTheAddress(t *testing.T) {
	t.Parallel()
	var hits, lookups atomic.Int64
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Connection", "close")
	})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(target, "http://"))
	require.NoError(t, err)
	rebinding := resolver(t, func(query []byte) []byte {
		return answerA(t, query, func() [4]byte {
			if lookups.Add(1) == 1 {
				return [4]byte{127, 0, 0, 1}
			}
			return [4]byte{10, 1, 2, 3}
		})
	})
	hook := newChannel(t, webhook.Config{URL: "http://hooks.test:" + port + "/T0P-S3CRET", Guard: guardOf(t, rebinding)})
	_, err = hook.Send(t.Context(), sample())
	require.NoError(t, err)
	_, err = hook.Send(t.Context(), sample())
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	require.EqualError(t, err, "POST http://hooks.test:"+port+": destination hooks.test is unknown or not allowed by the outbound policy")
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err), "as for a name that does not exist")
	n, ok := errors.AsType[*netguard.Error](err)
	require.True(t, ok)
	assert.Contains(t, n.Detail(), "10.1.2.3", "which is for the operator's log")
	assert.Equal(t, int64(1), hits.Load())
}

// The operator's log says which address was refused, and nothing of the URL but its origin.
func TestS11_TheLogSaysWhichAddressWasRefused(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	hook := newChannel(t, webhook.Config{
		URL: "https://10.11.12.13/T0P-S3CRET?q=T0P-S3CRET", Guard: new(netguard.Guard), Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	_, err := hook.Send(t.Context(), sample())
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	assert.NotContains(t, err.Error(), "private")
	assert.Equal(t, 1, strings.Count(lines.String(), "level=WARN"))
	assert.Contains(t, lines.String(), "10.11.12.13: private")
	assert.NotContains(t, lines.String(), "T0P-S3CRET")
	assert.NotContains(t, lines.String(), sample().Event.ID())
}

func TestS12_PolicyChangeReachesKeptConnections(t *testing.T) {
	t.Parallel()
	target := answerWith(t, 204, nil, "")
	guard := guardOf(t, nil)
	hook := newChannel(t, webhook.Config{URL: target, Guard: guard})
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	require.NoError(t, guard.SetProfile(netguard.Profile{}))
	receipt, err := hook.Send(t.Context(), sample())
	requireRefused(t, receipt, err, "POST "+target+": destination 127.0.0.1 is not allowed by the outbound policy")
}

// Channels of one guard share connections; those of two tenants, with a guard each, do not.
func TestS13_GuardsDoNotShareConnections(t *testing.T) {
	t.Parallel()
	target, accepted := serveCounted(t, func(http.ResponseWriter, *http.Request) {})
	one, other := guardOf(t, nil), guardOf(t, nil)
	for i, tc := range []struct {
		guard       *netguard.Guard
		connections int64
	}{{one, 1}, {one, 1}, {other, 2}, {one, 2}} {
		_, err := newChannel(t, webhook.Config{URL: target, Guard: tc.guard}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Equal(t, tc.connections, accepted(), "channel %d", i)
	}
}

func TestS10_ProxyIsUsedAndTheTargetJudgedBefore(t *testing.T) {
	t.Parallel()
	var through atomic.Int64
	var seen atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through.Add(1)
		uri := r.RequestURI
		seen.Store(&uri)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(proxy.Close)
	by := &netguard.Proxy{URL: proxy.URL, Profile: netguard.Profile{Loopback: true}}
	limits := netguard.Limits{AllowInsecureHTTP: true}
	for target, allowed := range map[string]bool{"http://hooks.test/path": true, "http://10.0.0.1/path": false, "http://metadata.google.internal/x": false} {
		hook, err := webhook.New(webhook.Config{URL: target, Limits: limits, Proxy: by})
		require.NoError(t, err)
		receipt, err := hook.Send(t.Context(), sample())
		if allowed {
			require.NoError(t, err)
			assert.Equal(t, http.StatusAccepted, receipt.Status)
			assert.Equal(t, target, *seen.Load())
		} else {
			require.ErrorIs(t, err, netguard.ErrDestinationBlocked, target)
		}
		require.NoError(t, hook.Close())
	}
	assert.Equal(t, int64(1), through.Load())
}
