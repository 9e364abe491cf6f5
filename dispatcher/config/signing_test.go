package config_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

const firstSigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// signingReceiver notes the signatures of requests that either key verifies.
func signingReceiver(t *testing.T) (string, <-chan http.Header) {
	t.Helper()
	got := make(chan http.Header, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL, got
}

func TestPreviousSecretEnds(t *testing.T) {
	t.Parallel()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	origin, got := signingReceiver(t)
	o := config.Options{Networks: map[string]*netguard.Guard{"public": guard}, Limits: map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}}}
	d := load(t, "a.yaml", "channels: [{type: webhook, name: a, url: "+origin+", sign: {scheme: standard_webhooks, secret: "+firstSigningSecret+"}}]\nroutes: [{name: a, channel: a}]", o).Document
	signatures := func(d *config.Document) int {
		set, err := d.Load(o)
		require.NoError(t, err)
		defer func() { require.NoError(t, set.Close()) }()
		e, _ := event.Sample(event.TypeRequestPending)
		_, err = set.Routes[0].Channel.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "a"}, Attempt: 1})
		require.NoError(t, err)
		_, header := signature.Standard.Headers()
		return len(strings.Fields((<-got).Get(header)))
	}
	now := time.Now()
	assert.Equal(t, 1, signatures(d))

	next, text, err := d.RotateSecret("a", "", now, now.Add(time.Hour), false)
	require.NoError(t, err)
	_, err = signature.NewKey(signature.Standard, text)
	require.NoError(t, err)
	assert.Equal(t, 2, signatures(next))
	assert.NotContains(t, string(next.JSON()), text)
	assert.Contains(t, reveal(t, next), text)
	assert.Contains(t, reveal(t, next), firstSigningSecret)
	assert.NotContains(t, reveal(t, d), text, "a Document is immutable")

	_, _, err = next.RotateSecret("a", "", now, now.Add(time.Hour), false)
	require.EqualError(t, err, "sign.previous is still in use; revoke it, wait for previous_until, or say that its use may end")
	third, _, err := next.RotateSecret("a", "", now, now.Add(time.Hour), true)
	require.NoError(t, err)
	assert.NotContains(t, reveal(t, third), firstSigningSecret)
	fourth, _, err := third.RotateSecret("a", firstSigningSecret, now.Add(2*time.Hour), now.Add(-time.Hour), false)
	require.NoError(t, err)
	assert.Equal(t, 1, signatures(fourth), "the previous one is past its end")

	revoked, err := next.RevokePrevious("a")
	require.NoError(t, err)
	assert.Equal(t, 1, signatures(revoked))
	assert.NotContains(t, reveal(t, revoked), "previous")
	same, err := d.RevokePrevious("a")
	require.NoError(t, err)
	assert.Same(t, d, same)
}

func TestWhatCannotBeRotated(t *testing.T) {
	t.Parallel()
	d := load(t, "a.yaml", "channels:\n"+
		"  - {type: webhook, name: plain, url: https://hooks.example/x}\n"+
		"  - {type: webhook, name: github, url: https://hooks.example/x, sign: {scheme: github, secret: not-a-real-signing-secret-0123456789}}\n"+
		"  - {type: webhook, name: standard, url: https://hooks.example/x, sign: {scheme: standard_webhooks, secret: "+firstSigningSecret+"}}\n", config.Options{}).Document
	now := time.Now()
	for name, want := range map[string]string{
		"nobody": `channels has none of the name "nobody"; name one that is there: "github", "plain", "standard"`,
		"plain":  "sign is not there: the channel signs nothing; add it to the channel, with a scheme and a secret",
		"github": "sign.scheme has one signature in each request, so that its secret cannot be changed gradually; replace secret, when the receiver does",
	} {
		_, _, err := d.RotateSecret(name, "", now, now, false)
		require.Error(t, err)
		assert.Equal(t, want, err.Error(), name)
	}
	_, _, err := d.RotateSecret("standard", "short", now, now, false)
	require.ErrorContains(t, err, "sign.secret")
	assert.NotContains(t, err.Error(), "short;")
}

func TestPreviousUntilMistakes(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"previous: " + firstSigningSecret + ", previous_until: tomorrow":             "previous_until does not have its form; write a time such as 2026-01-31T18:00:00Z",
		"previous: " + firstSigningSecret + ", previous_until: 2026-02-31T18:00:00Z": "previous_until is no time that exists; write a time such as 2026-01-31T18:00:00Z",
		"previous_until: 2026-02-28T18:00:00Z":                                       "previous_until is set without previous; remove it, or give previous",
	} {
		_, err := config.Load("a.yaml", []byte("channels: [{type: webhook, name: a, url: 'https://hooks.example/x', sign: {scheme: stripe, secret: "+firstSigningSecret+", "+fields+"}}]"), config.Options{})
		require.ErrorContains(t, err, want)
	}
}
