package dispatcher_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// TestSlackKeepsALifecycleInOneThread: with Order BySubject and several workers each lifecycle becomes one message with
// its news below it, in order, at the bot's pace. Deliveries that come too soon are put off and not counted: the route
// allows no retry.
func TestSlackKeepsALifecycleInOneThread(t *testing.T) {
	t.Parallel()
	type call struct {
		method, TS string
		Thread     string `json:"thread_ts"`
		Blocks     []struct {
			Elements []struct{ Text string }
		}
		at time.Time
	}
	calls := make(chan call, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{method: r.URL.Path, at: time.Now()}
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&c))
		ts := c.TS
		if ts == "" {
			ts = fmt.Sprintf("1503435956.%09d", c.at.UnixNano()%1e9)
		}
		fmt.Fprintf(w, `{"ok":true,"ts":%q}`, ts)
		c.TS = ts
		calls <- c
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	const pace = 20 * time.Millisecond
	bot, err := slack.NewBot(slack.BotConfig{
		Token: secret.Literal("xoxb-T0KEN-S3CRET"), Channel: "C024BE91L", API: server.URL + "/api",
		Options: slack.Options{Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}, Interval: pace},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bot.Close()) })
	b := start(t, dispatcher.Route{Name: "slack", Channel: bot, Order: dispatcher.BySubject, Concurrency: 4, Retry: retry.Never{}})

	lifecycles := [][]string{
		{"request.pending", "request.approved", "grant.active", "grant.expired"},
		{"alert.opened", "alert.acknowledged", "alert.resolved"},
	}
	var events []event.Event
	for n := range 4 {
		for _, types := range lifecycles {
			if n < len(types) {
				e, ok := event.Sample(event.Type(types[n]))
				require.True(t, ok)
				events = append(events, e)
			}
		}
	}
	began := time.Now()
	b.dispatch(events...)

	threads := make(map[string][]string) // by the first message
	updates := 0
	for n := 0; n < len(events); {
		var c call
		select {
		case c = <-calls:
		case <-time.After(30 * time.Second):
			require.Fail(t, "nothing comes any more", "so far %v", threads)
		}
		typ := c.Blocks[len(c.Blocks)-1].Elements[1].Text
		switch {
		case c.method == "/api/chat.update":
			require.Contains(t, threads, c.TS)
			updates++
			continue
		case c.Thread == "":
			threads[c.TS] = []string{typ}
		default:
			threads[c.Thread] = append(threads[c.Thread], typ)
		}
		n++
		assert.GreaterOrEqual(t, c.at.Sub(began), time.Duration(n-1)*pace)
	}
	assert.Equal(t, len(events)-len(lifecycles), updates)
	assert.Len(t, threads, len(lifecycles))
	for _, types := range threads {
		assert.Contains(t, lifecycles, types)
	}
	require.Eventually(t, func() bool { return len(b.seen.settledOf("slack")) == len(events) }, 10*time.Second, time.Millisecond)
	assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: len(events)}, b.seen.results("slack"))
}

// TestSlackSendsBreakGlassFirst: it does not wait behind what waits for Slack's pace.
func TestSlackSendsBreakGlassFirst(t *testing.T) {
	t.Parallel()
	texts := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		fmt.Fprint(w, "ok")
		texts <- string(body)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	hook, err := slack.NewWebhook(slack.WebhookConfig{
		URL:     server.URL + "/services/T/B/X",
		Options: slack.Options{Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}, Interval: 100 * time.Millisecond},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	b := start(t, dispatcher.Route{Name: "slack", Channel: hook})
	first, ok := event.Sample(event.TypeGrantRevoked)
	require.True(t, ok)
	for range 20 {
		b.dispatch(first.ForTest())
	}
	<-texts // the others wait
	require.Eventually(t, func() bool { return b.status("slack").Queued == 19 }, 5*time.Second, time.Millisecond)
	b.dispatch(breakGlass())
	before := 0
	for !strings.Contains(strings.ToLower(<-texts), "break-glass") {
		before++
	}
	assert.Less(t, before, 8, "messages of those that waited")
	require.NoError(t, b.Shutdown(t.Context()))
}
