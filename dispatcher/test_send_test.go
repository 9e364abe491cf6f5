package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// What "test this channel" sends, returns and refuses is what a delivery sends, leaves in its receipt and is refused:
// the same guard, limits and redaction.
func TestATestIsSentAsADeliveryIs(t *testing.T) {
	t.Parallel()
	const key = "K3Y-V4LUE-1"
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header()["Date"] = nil
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.RequestURI + " " + r.Header.Get("X-Key") + " " + r.Header.Get("Webhook-Id") + " " + string(body) + strings.Repeat(" ", 8<<10)))
	}))
	t.Cleanup(server.Close)
	for name, tc := range map[string]struct {
		profile netguard.Profile
		limits  netguard.Limits
		hits    int64 // of both
	}{
		"allowed":            {netguard.Profile{Loopback: true}, netguard.Limits{AllowInsecureHTTP: true}, 2},
		"refused by address": {netguard.PrivateNetworks(), netguard.Limits{AllowInsecureHTTP: true}, 0},
	} {
		hits.Store(0)
		guard, err := netguard.New(tc.profile, nil)
		require.NoError(t, err)
		hook, err := webhook.New(webhook.Config{
			URL: server.URL + "/hooks/T0P-S3CRET?sig=S1GNATURE", Guard: guard, Limits: tc.limits, MaxResponse: 4 << 10,
			Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}},
		})
		require.NoError(t, err)
		route := dispatcher.Route{Name: "hook", Channel: hook, Retry: retry.Never{}}
		attempts := make(chan dispatcher.Attempt, 1)
		b := setupWith(t, dispatcher.Config{Routes: []dispatcher.Route{route}, Observers: []dispatcher.Observer{{
			Attempted: func(a dispatcher.Attempt) { attempts <- a },
		}}})
		b.run()
		e, _ := event.Sample(event.TypeRequestApproved)

		receipt, err := b.Test(t.Context(), route, e)
		if receipt.Request != nil { // the event with its new id, and the mark of a test
			sent, err := event.Parse(receipt.Request.Body)
			require.NoError(t, err)
			assert.Equal(t, e.Data(), sent.Data())
			e = sent
		}
		b.dispatch(e)
		delivered := <-attempts

		require.Error(t, err, name)
		assert.EqualError(t, delivered.Err, err.Error(), name)
		receipt.Duration, delivered.Receipt.Duration = 0, 0
		assert.Equal(t, delivered.Receipt, receipt, name)
		assert.Equal(t, tc.hits, hits.Load(), name)
		if tc.hits == 0 {
			require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
			require.NotNil(t, receipt.Request, "what would have been sent")
			assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("X-Key"))
			assert.Nil(t, receipt.Response)
			require.NoError(t, hook.Close())
			continue
		}
		// The whole exchange, but for secrets and what is beyond the limit.
		require.NotNil(t, receipt.Request)
		assert.Equal(t, string(e.JSON()), string(receipt.Request.Body))
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("X-Key"))
		assert.Equal(t, "POST "+server.URL, receipt.Request.Start)
		assert.Equal(t, "418 I'm a teapot", receipt.Response.Start)
		assert.Equal(t, secret.Redacted, receipt.Response.Header.Get("X-Echo"))
		assert.Contains(t, string(receipt.Response.Body), secret.Redacted+" "+secret.Redacted+" "+delivered.Delivery.ID()+" ")
		assert.True(t, receipt.Response.Truncated)
		for _, hidden := range []string{key, "T0P-S3CRET", "S1GNATURE"} {
			assert.NotContains(t, fmt.Sprintf("%v %v %s %v %v %s", *receipt.Request, err, receipt.Request.Body, *receipt.Response, receipt.Response.Header, receipt.Response.Body)+b.log.String(), hidden)
		}
		require.NoError(t, hook.Close())
	}
}

// A channel that panics in a test fails it, as it would fail a delivery.
func TestATestOfAPanickingChannelFails(t *testing.T) {
	t.Parallel()
	b := setupWith(t, dispatcher.Config{})
	route := dispatcher.Route{Name: "r", Channel: channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		panic("broken")
	})}
	_, err := b.Test(t.Context(), route, newNote(1, event.Meta{}))
	problem, ok := errors.AsType[*channel.PanicError](err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, problem.Where, "TestATestOfAPanickingChannelFails")
}
