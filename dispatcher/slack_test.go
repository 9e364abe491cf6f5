package dispatcher_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
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
	workspace := slacktest.Start(t)
	posts := make(chan time.Time, 100)
	workspace.Handle(func(r webhooktest.Request) slacktest.Response {
		if r.URI == "/api/chat.postMessage" {
			posts <- time.Now()
		}
		return slacktest.Response{}
	})
	const pace = 20 * time.Millisecond
	c := workspace.BotConfig()
	c.Interval = pace
	bot, err := slack.NewBot(c)
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

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, workspace.Wait(ctx, len(events)))
	for n := range events {
		assert.GreaterOrEqual(t, (<-posts).Sub(began), time.Duration(n)*pace)
	}
	var want, got [][]string // the types of the replies, and what the message above them shows in the end
	for _, types := range lifecycles {
		want = append(want, append(types[1:], types[len(types)-1]))
	}
	all := workspace.Messages()
	typeOf := func(m slacktest.Message) string { return strings.Split(m.Lines[len(m.Lines)-1], " · ")[1] }
	for _, first := range all {
		if first.ThreadTS != "" {
			continue
		}
		var types []string
		for _, m := range all {
			if m.ThreadTS == first.TS {
				types = append(types, typeOf(m))
				assert.Zero(t, m.Edits)
			}
		}
		assert.Equal(t, len(types), first.Edits)
		got = append(got, append(types, typeOf(first)))
	}
	assert.ElementsMatch(t, want, got)
	require.Eventually(t, func() bool { return len(b.seen.settledOf("slack")) == len(events) }, 10*time.Second, time.Millisecond)
	assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: len(events)}, b.seen.results("slack"))
}

// TestSlackSendsBreakGlassFirst: it does not wait behind what waits for Slack's pace.
func TestSlackSendsBreakGlassFirst(t *testing.T) {
	t.Parallel()
	workspace := slacktest.Start(t)
	c := workspace.WebhookConfig()
	c.Interval = 100 * time.Millisecond
	hook, err := slack.NewWebhook(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	b := start(t, dispatcher.Route{Name: "slack", Channel: hook})
	first, ok := event.Sample(event.TypeGrantRevoked)
	require.True(t, ok)
	for range 20 {
		b.dispatch(first.ForTest())
	}
	require.NoError(t, workspace.Wait(t.Context(), 1)) // the others wait
	require.Eventually(t, func() bool { return b.status("slack").Queued == 19 }, 5*time.Second, time.Millisecond)
	b.dispatch(breakGlass())
	n := 2
	for ; ; n++ {
		require.NoError(t, workspace.Wait(t.Context(), n))
		if strings.Contains(strings.ToLower(string(workspace.Messages()[n-1].Blocks)), "break-glass") {
			break
		}
	}
	assert.Less(t, n-2, 8, "messages of those that waited")
	require.NoError(t, b.Shutdown(t.Context()))
}
