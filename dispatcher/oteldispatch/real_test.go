package oteldispatch_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/retry"
)

// TestNothingSecretInTelemetry sends through real webhooks whose URLs, headers and answers are full of secrets, and
// looks for them in everything that was recorded.
func TestNothingSecretInTelemetry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client has gone
		if strings.HasSuffix(r.URL.Path, "/slow") {
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Key"))
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, r.URL, r.Header, payloadMark)
	}))
	t.Cleanup(server.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	c := dispatcher.Config{}
	for name, url := range map[string]string{
		"502":             server.URL + "/" + secretMark + "?sig=" + secretMark,
		"header_timeout":  server.URL + "/" + secretMark + "/slow",
		"connect":         closed.URL + "/" + secretMark,
		"blocked":         "http://169.254.169.254/" + secretMark,
		"panic":           "",
		"_OTHER":          "",
		"secret-in-error": "",
	} {
		route := dispatcher.Route{Name: name, Retry: retry.Never{}}
		if url == "" {
			route.Channel = channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
				if name == "panic" {
					panic(secretMark)
				}
				return channel.Receipt{ProviderID: secretMark, Request: &channel.Message{Start: "POST /" + secretMark}}, errDown
			})
		} else {
			hook, err := webhook.New(webhook.Config{
				URL: url, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
				Headers:  []webhook.Header{{Name: "X-Key", Secret: secret.Literal(secretMark)}},
				Timeouts: netguard.Timeouts{Header: 200 * time.Millisecond},
			})
			require.NoError(t, err)
			t.Cleanup(func() { hook.Close() })
			route.Channel = hook
		}
		c.Routes = append(c.Routes, route)
	}
	var left sync.WaitGroup
	left.Add(len(c.Routes))
	c.Observers = []dispatcher.Observer{{Settled: func(dispatcher.Settlement) { left.Done() }}}
	b := setup(t, oteldispatch.Config{Tenants: true}, c)
	b.dispatch(request("e-1", ""))
	left.Wait()
	require.NoError(t, b.Shutdown(context.Background()))

	exported := b.series() + fmt.Sprintf("%+v", b.spans.GetSpans())
	host, _, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, never := range []string{secretMark, payloadMark, host, "169.254", "hooks.example", "/slow"} {
		assert.NotContains(t, exported, never)
	}
	seen := 0
	for _, s := range b.spans.GetSpans() {
		if route, ok := strings.CutPrefix(s.Name, "deliver "); ok {
			seen++
			if route == "secret-in-error" {
				route = "_OTHER"
			}
			assert.Equal(t, codes.Error, s.Status.Code, s.Name)
			assert.Equal(t, route, s.Status.Description, s.Name)
		}
	}
	assert.Equal(t, len(c.Routes), seen)
}

// TestManyAtOnce dispatches from many goroutines while metrics are collected and routes are replaced: every delivery
// has its span below the dispatch it came from, and the counters agree.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const producers, each = 8, 100
	routes := func() []dispatcher.Route {
		var all []dispatcher.Route
		for i := range 3 {
			all = append(all, dispatcher.Route{Name: fmt.Sprint("route-", i), Channel: channel.Func(
				func(context.Context, channel.Delivery) (channel.Receipt, error) {
					return channel.Receipt{Status: 200}, nil
				})})
		}
		return all
	}
	var left sync.WaitGroup
	left.Add(producers * each * 3)
	b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: routes(), Observers: []dispatcher.Observer{{
		Settled: func(dispatcher.Settlement) { left.Done() },
	}}})
	var producing sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			for i := range each {
				b.dispatch(request(fmt.Sprintf("e-%d-%d", p, i), ""))
			}
		})
	}
	for range 10 {
		assert.NotEmpty(t, b.series())
		assert.NoError(t, b.SetRoutes(context.Background(), routes()))
	}
	producing.Wait()
	left.Wait()
	require.NoError(t, b.Shutdown(context.Background()))

	parents := map[string]string{}
	delivered := 0
	for _, s := range b.spans.GetSpans() {
		for _, a := range s.Attributes {
			if a.Key == "tocsin.event.id" && s.Name == "dispatch" {
				parents[s.SpanContext.SpanID().String()] = a.Value.AsString()
			}
		}
	}
	require.Len(t, parents, producers*each)
	for _, s := range b.spans.GetSpans() {
		if !strings.HasPrefix(s.Name, "deliver ") {
			continue
		}
		delivered++
		for _, a := range s.Attributes {
			if a.Key == "tocsin.event.id" {
				assert.Equal(t, a.Value.AsString(), parents[s.Parent.SpanID().String()])
			}
		}
	}
	assert.Equal(t, producers*each*3, delivered)
	exported := b.series()
	for route := range 3 {
		assert.Contains(t, exported, fmt.Sprintf(
			"tocsin.settled [{delivery}] {messaging.destination.name=route-%d, tocsin.event.type=request.approved, tocsin.outcome=delivered} %d\n",
			route, producers*each))
	}
	assert.Contains(t, exported, fmt.Sprintf("tocsin.dispatched [{event}] {tocsin.event.type=request.approved} %d\n", producers*each))
}
