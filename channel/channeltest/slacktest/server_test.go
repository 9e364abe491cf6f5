package slacktest_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
)

// Both configurations are complete: channels made of them deliver.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	bot, err := slack.NewBot(s.BotConfig())
	require.NoError(t, err)
	defer bot.Close()
	require.NoError(t, bot.Check(t.Context()))
	for _, typ := range []event.Type{event.TypeRequestPending, event.TypeRequestApproved} {
		_, err = bot.Send(t.Context(), delivery(typ))
		require.NoError(t, err)
	}
	hook, err := slack.NewWebhook(s.WebhookConfig())
	require.NoError(t, err)
	defer hook.Close()
	_, err = hook.Send(t.Context(), delivery(event.TypeGrantActive))
	require.NoError(t, err)

	require.NoError(t, s.Wait(t.Context(), 3))
	all := s.Messages()
	require.Len(t, all, 3)
	assert.Equal(t, slacktest.Channel, all[0].Channel)
	assert.Equal(t, 1, all[0].Edits)
	assert.Empty(t, all[0].ThreadTS)
	assert.Equal(t, all[0].TS, all[1].ThreadTS)
	assert.Contains(t, s.Hook(), all[2].Channel)
	for _, m := range all {
		assert.NotEmpty(t, m.Text)
		assert.NotEmpty(t, m.Lines)
		assert.Empty(t, m.Mentions)
		assert.NotEmpty(t, m.Blocks)
	}
	var uris []string
	for _, r := range s.Requests() {
		uris = append(uris, r.URI)
	}
	assert.Equal(t, []string{"/api/auth.test", "/api/chat.postMessage", "/api/chat.update", "/api/chat.postMessage", all[2].Channel}, uris)
	s.Messages()[0].Text = "changed"
	assert.NotEqual(t, "changed", s.Messages()[0].Text)
}

func TestScriptAndHandle(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	s.Script(slacktest.Response{Error: "is_archived"}, slacktest.Response{})
	s.Script(slacktest.Response{Status: http.StatusBadGateway, Header: http.Header{"X-Own": {"x"}}, Body: "<html>"})
	s.Handle(func(r webhooktest.Request) slacktest.Response {
		if string(r.Body) == `{"text":"no"}` {
			return slacktest.Response{Error: "no_permission"}
		}
		return slacktest.Response{}
	})
	const good, bad = `{"channel":"C1","text":"yes"}`, `{"text":"no"}`
	assert.Equal(t, "is_archived", call(t, s, "chat.postMessage", good)["error"])
	assert.Equal(t, "no_permission", call(t, s, "chat.postMessage", bad)["error"])
	r := post(t, s.API()+"/chat.postMessage", good)
	assert.Equal(t, http.StatusBadGateway, r.status)
	assert.Equal(t, "x", r.header.Get("X-Own"))
	assert.Equal(t, "<html>", r.body)
	assert.Equal(t, true, call(t, s, "chat.postMessage", good)["ok"])
	assert.Equal(t, "no_permission", call(t, s, "chat.postMessage", bad)["error"])
	s.Handle(nil)
	assert.Equal(t, "channel_not_found", call(t, s, "chat.postMessage", bad)["error"])
	assert.Len(t, s.Messages(), 1)
	assert.Len(t, s.Requests(), 6)
}

func TestErrorsInTheFormOfTheInterface(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	for code, status := range map[string]int{
		"invalid_payload": 400, "action_prohibited": 403, "no_service": 404, "channel_is_archived": 410, "rate_limited": 429, "rollup_error": 500,
	} {
		s.Script(slacktest.Response{Error: code}, slacktest.Response{Error: code})
		r := post(t, s.Hook(), `{"text":"x"}`)
		assert.Equal(t, status, r.status, code)
		assert.Equal(t, code, r.body)
		assert.Equal(t, map[string]any{"ok": false, "error": code}, call(t, s, "chat.postMessage", `{}`))
	}
	for _, url := range []string{s.Hook(), s.API() + "/chat.postMessage"} {
		s.Script(slacktest.Response{RetryAfter: 30 * time.Second})
		r := post(t, url, `{}`)
		assert.Equal(t, http.StatusTooManyRequests, r.status)
		assert.Equal(t, "30", r.header.Get("Retry-After"))
		assert.Contains(t, r.body, "ratelimited")
	}
	assert.Empty(t, s.Messages())
}

func TestDropAndHang(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	s.Script(slacktest.Response{Drop: true})
	_, err := try(t.Context(), s.Hook(), `{"text":"lost"}`)
	require.Error(t, err)
	require.Len(t, s.Messages(), 1, "it was posted all the same")
	failed, reached := make(chan error, 1), make(chan struct{})
	s.Handle(func(webhooktest.Request) slacktest.Response {
		close(reached)
		return slacktest.Response{Hang: true}
	})
	go func() {
		_, err := try(t.Context(), s.Hook(), `{"text":"x"}`)
		failed <- err
	}()
	<-reached
	s.Close()
	require.Error(t, <-failed)
	assert.Len(t, s.Messages(), 1, "what was received can still be read")
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Wait(ctx, 0))
	err := s.Wait(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "0 of 1 messages posted: context canceled")
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(t.Context(), 2) }()
	for range 2 {
		post(t, s.Hook(), `{"text":"x"}`)
	}
	require.NoError(t, <-waited)
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	var wg sync.WaitGroup
	const clients, each = 8, 10
	for n := range clients {
		wg.Go(func() {
			for range each {
				_, err := try(t.Context(), s.API()+"/chat.postMessage", fmt.Sprintf(`{"channel":"C%d","text":"x"}`, n))
				assert.NoError(t, err)
				_, _ = s.Messages(), s.Requests()
			}
		})
	}
	require.NoError(t, s.Wait(t.Context(), clients*each))
	wg.Wait()
	ids := make(map[string]bool)
	for _, m := range s.Messages() {
		ids[m.TS] = true
	}
	assert.Len(t, ids, clients*each)
}
