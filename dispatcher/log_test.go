package dispatcher_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// documented returns the attribute names that log.go documents.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "log.go", nil, 0)
	require.NoError(t, err)
	names := map[string]bool{slog.TimeKey: true, slog.LevelKey: true, slog.MessageKey: true}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			names[name] = true
		}
		return true
	})
	require.Greater(t, len(names), 10)
	return names
}

const (
	secretToken = "s3cret-t0ken-of-the-receiver"
	secretPath  = "T0PSECRETPATH"
	secretQuery = "t0psecretquery"
)

// hookTo makes a webhook with secrets wherever one can have some.
func hookTo(t *testing.T, origin string) *webhook.Channel {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	hook, err := webhook.New(webhook.Config{
		URL: origin + "/" + secretPath + "?sig=" + secretQuery, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
		Auth: webhook.Token(secret.Literal("Bearer " + secretToken)), Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(secretToken)}},
		Timeouts: netguard.Timeouts{Header: 200 * time.Millisecond},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	return hook
}

// echo answers with a status, and with all that it was sent: a receiver that is as talkative as can be.
func echo(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.Header().Set("Location", r.URL.String())
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// refusal returns the origin of a receiver that does not exist any more.
func refusal(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// brokenStore and brokenDedup fail.
type brokenStore struct{ history.Store }

func (brokenStore) Append(context.Context, ...history.Entry) error { return errors.New("disk is full") }

type brokenDedup struct{ dedup.Store }

func (brokenDedup) Claim(context.Context, string, time.Duration) (dedup.Claim, error) {
	return dedup.Claim{}, errors.New("store is down")
}

// A busy engine with everything that can go wrong, over real connections: no line that it, the monitor of its health or
// its history logs holds anything of a payload, a credential or the path of a URL, and every attribute is documented.
func TestLogOfABusyEngineHoldsNoPayloadSecretOrPath(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(hang) })
	dropping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}))
	t.Cleanup(dropping.Close)
	log := new(logbook)
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	panics := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) { panic(d.Event.Data()) })
	three := retry.AtMost(3, retry.Fixed{Interval: time.Millisecond})
	var down breakable
	routes := []dispatcher.Route{
		{Name: "fine", Channel: hookTo(t, echo(t, http.StatusOK)), Dedup: channel.DedupOptions{Window: time.Hour}},
		{Name: "500", Channel: hookTo(t, echo(t, http.StatusInternalServerError)), Protect: dispatcher.Protection{Fallback: "400"}},
		{Name: "400", Channel: hookTo(t, echo(t, http.StatusBadRequest)), Protect: dispatcher.Protection{Fallback: "off"}},
		{Name: "429", Channel: hookTo(t, echo(t, http.StatusTooManyRequests)), Protect: dispatcher.Protection{DisableAfter: time.Millisecond}},
		{Name: "302", Channel: hookTo(t, echo(t, http.StatusFound))},
		{Name: "gone", Channel: hookTo(t, echo(t, http.StatusGone))},
		{Name: "refused", Channel: hookTo(t, refusal(t))},
		{Name: "hangs", Channel: hookTo(t, hanging.URL)},
		{Name: "times out", Channel: hookTo(t, hanging.URL), Timeout: 50 * time.Millisecond},
		{Name: "drops", Channel: hookTo(t, dropping.URL)},
		{Name: "panics", Channel: panics},
		{Name: "breaks", Channel: &down, Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 2, Pause: 50 * time.Millisecond}}},
		{Name: "full", Channel: panics, State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}},
		{Name: "off", Channel: panics, State: dispatcher.Disabled},
		{Name: "mail", Channel: hookTo(t, echo(t, http.StatusBadGateway)), Events: event.Types("tocsin.*")},
		{Name: "mail without room", Channel: panics, Events: event.Types("tocsin.*"), State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1}},
	}
	for i := range routes {
		routes[i].Retry = three
		if routes[i].Name == "breaks" {
			routes[i].Retry = retry.Fixed{Interval: time.Millisecond}
		}
	}
	monitor := health.New(health.Options{Alert: health.Alert{After: -1, Dead: true}, Logger: logger})
	recorder, err := history.NewRecorder(brokenStore{history.NewMemory(0)}, history.Options{Buffer: 1, Logger: logger})
	require.NoError(t, err)
	spoilt := dispatcher.Observer{Settled: func(s dispatcher.Settlement) { panic(s.Delivery.Event.Data()) }}
	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Logger: logger, DedupStore: brokenDedup{dedup.NewMemory(dedup.MemoryOptions{})},
		Observers: []dispatcher.Observer{monitor.Observer(), recorder.Observer(), spoilt}})
	require.NoError(t, err)
	ran := make(chan error, 2)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { ran <- engine.Run(ctx) }()
	go func() { ran <- monitor.Run(ctx, engine) }()
	send := func(from, to int, tenant string) {
		for n := from; n < to; n++ {
			assert.NoError(t, engine.Dispatch(ctx, event.Must(note{N: n, Text: payloadMark}, event.Meta{Tenant: tenant,
				Subject: "request-" + strconv.Itoa(n), Attributes: map[string]string{"custom": payloadMark}})))
		}
	}
	send(0, 20, "")
	send(20, 21, "a tenant without routes")
	// What an operator would read in these cases, each at least once.
	for _, message := range []string{"attempt failed", "delivery is dead", "destination is gone", "failed for too long", "breaker is open",
		"an observer panicked", "the fallback does not take", "no route wants this event", "the dedup store fails",
		"an alert could not be dispatched", "the history loses entries"} {
		require.Eventually(t, func() bool { return strings.Contains(log.String(), message) }, time.Minute, 5*time.Millisecond, message)
	}
	down.fixed.Store(true)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "breaker closed") }, time.Minute, 5*time.Millisecond)
	_, err = engine.Test(ctx, routes[1], notes(1)[0])
	require.Error(t, err)
	stop()
	<-ran
	<-ran
	closing, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorAs(t, recorder.Close(closing), new(*history.LostError))
	assert.Contains(t, log.String(), "the history cannot be stored")

	known := documented(t)
	credentials := base64.StdEncoding.EncodeToString([]byte("Bearer " + secretToken))
	forbidden := []string{payloadMark, secretToken, secretPath, secretQuery, strings.ToLower(secretPath), credentials,
		url.QueryEscape("Bearer " + secretToken), base64.StdEncoding.EncodeToString([]byte(`{"n":`))}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for _, line := range lines {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		assert.True(t, strings.HasPrefix(fields["msg"].(string), "tocsin: "), line)
		for name := range fields {
			assert.True(t, known[name], "attribute %q is not documented: %s", name, line)
		}
		for _, text := range forbidden {
			require.NotContains(t, line, text)
		}
	}
	t.Logf("%d lines searched", len(lines))
}

// Style 1 and 5: a test sends an example event with the configuration as given, before it is saved, and returns the
// complete request and response, without the secrets.
func TestStyle1And5TestShowsRequestAndResponseBeforeSaving(t *testing.T) {
	t.Parallel()
	for status, failed := range map[int]bool{http.StatusOK: false, http.StatusTeapot: true} {
		hook := hookTo(t, echo(t, status))
		b := setup(t, dispatcher.Route{Name: "saved", Channel: new(channeltest.Recorder)})
		example, ok := event.Sample(event.TypeRequestApproved)
		require.True(t, ok)
		receipt, err := b.Test(t.Context(), dispatcher.Route{Name: "new", Channel: hook}, example)
		assert.Equal(t, failed, err != nil)
		assert.Equal(t, status, receipt.Status)
		sent, err := event.Parse(receipt.Request.Body)
		require.NoError(t, err)
		assert.True(t, sent.IsTest())
		assert.Equal(t, example.Data(), sent.Data())
		assert.Contains(t, string(receipt.Response.Body), "request.approved")
		for _, m := range []*channel.Message{receipt.Request, receipt.Response} {
			for _, hidden := range []string{secretToken, secretPath, secretQuery} {
				assert.NotContains(t, m.Start+string(m.Body), hidden)
				for _, values := range m.Header {
					assert.NotContains(t, strings.Join(values, " "), hidden)
				}
			}
		}
		assert.Len(t, b.statuses(), 1, "nothing was saved")
	}
}
