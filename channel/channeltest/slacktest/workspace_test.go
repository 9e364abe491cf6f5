package slacktest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
)

func TestWhatTheWebAPIRefuses(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	posted(t, s, `{"channel":"C1","text":"first"}`)
	for _, tt := range []struct{ name, method, body, header, value, want string }{
		{"no token", "chat.postMessage", `{"channel":"C1","text":"x"}`, "Authorization", "", "not_authed"},
		{"another token", "auth.test", `{}`, "Authorization", "Bearer xoxb-other", "invalid_auth"},
		{"a form", "chat.postMessage", `channel=C1`, "Content-Type", "application/x-www-form-urlencoded", "invalid_post_type"},
		{"another method", "chat.delete", `{}`, "", "", "unknown_method"},
		{"not JSON", "chat.postMessage", `{`, "", "", "invalid_json"},
		{"no channel", "chat.postMessage", `{"text":"x"}`, "", "", "channel_not_found"},
		{"nothing to say", "chat.postMessage", `{"channel":"C1","text":"","blocks":[]}`, "", "", "no_text"},
		{"too long", "chat.postMessage", `{"channel":"C1","text":"` + strings.Repeat("é", 40_001) + `"}`, "", "", "msg_too_long"},
		{"a block of no type", "chat.postMessage", `{"channel":"C1","blocks":[{}]}`, "", "", "invalid_blocks"},
		{"no such message", "chat.update", `{"channel":"C1","ts":"1.1","text":"x"}`, "", "", "message_not_found"},
		{"in another channel", "chat.update", `{"channel":"C2","ts":"1503435956.000001","text":"x"}`, "", "", "message_not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := []string{tt.header, tt.value}
			if tt.header == "" {
				header = nil
			}
			assert.Equal(t, map[string]any{"ok": false, "error": tt.want}, call(t, s, tt.method, tt.body, header...))
		})
	}
	t.Cleanup(func() { assert.Len(t, s.Messages(), 1) })
}

func TestWhatAWebhookRefuses(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	other := strings.TrimSuffix(s.API(), "/api") + "/services/T1/B1/x"
	for _, tt := range []struct {
		name, url, body string
		status          int
		want            string
	}{
		{"another path", s.Hook() + "/more", `{"text":"x"}`, http.StatusNotFound, "no_service"},
		{"not JSON", s.Hook(), `{`, http.StatusBadRequest, "invalid_payload"},
		{"nothing to say", s.Hook(), `{}`, http.StatusBadRequest, "no_text"},
		{"a header without text", s.Hook(), `{"text":"x","blocks":[{"type":"header"}]}`, http.StatusBadRequest, "invalid_blocks"},
		{"good", s.Hook(), `{"text":"x"}`, http.StatusOK, "ok"},
		{"good, another webhook", other, `{"text":"x"}`, http.StatusOK, "ok"},
		{"good, attachments", s.Hook(), `{"attachments":[{"text":"x"}]}`, http.StatusOK, "ok"},
	} {
		r := post(t, tt.url, tt.body)
		assert.Equal(t, tt.status, r.status, tt.name)
		assert.Equal(t, tt.want, r.body, tt.name)
	}
	require.Len(t, s.Messages(), 3)
	assert.Equal(t, "/services/T1/B1/x", s.Messages()[1].Channel)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Hook(), strings.NewReader(`{"text":"x"}`))
	require.NoError(t, err)
	r, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, r.StatusCode)
	require.NoError(t, r.Body.Close())
}

func TestRepliesAndEdits(t *testing.T) {
	t.Parallel()
	s := slacktest.Start(t)
	first := posted(t, s, `{"channel":"C1","text":"first","reply_broadcast":true}`)
	posted(t, s, `{"channel":"C1","text":"reply","thread_ts":"`+first+`","reply_broadcast":true}`)
	posted(t, s, `{"channel":"C1","text":"to nothing","thread_ts":"1.1"}`)
	posted(t, s, `{"channel":"C2","text":"from elsewhere","thread_ts":"`+first+`"}`)
	answer := call(t, s, "chat.update", `{"channel":"C1","text":"edited","ts":"`+first+`"}`)
	assert.Equal(t, first, answer["ts"])
	assert.Equal(t, map[string]any{"type": "message", "text": "edited", "blocks": nil}, answer["message"])
	assert.True(t, s.Delete(first))
	assert.False(t, s.Delete("1.1"))
	assert.Equal(t, "message_not_found", call(t, s, "chat.update", `{"channel":"C1","text":"x","ts":"`+first+`"}`)["error"])
	posted(t, s, `{"channel":"C1","text":"too late","thread_ts":"`+first+`"}`)

	all := s.Messages()
	for i := range all {
		all[i].Lines, all[i].TS = nil, ""
	}
	assert.Equal(t, []slacktest.Message{
		{Channel: "C1", Text: "edited", Edits: 1, Deleted: true},
		{Channel: "C1", Text: "reply", ThreadTS: first, Broadcast: true},
		{Channel: "C1", Text: "to nothing"},
		{Channel: "C2", Text: "from elsewhere"},
		{Channel: "C1", Text: "too late"},
	}, all)
}
