package slacktest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// response is what a client that shares nothing with package slack got.
type response struct {
	status int
	header http.Header
	body   string
}

// try posts to a method or webhook.
func try(ctx context.Context, url, body string, header ...string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Authorization", "Bearer "+slacktest.Token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(got)}, err
}

func post(t *testing.T, url, body string, header ...string) response {
	t.Helper()
	r, err := try(t.Context(), url, body, header...)
	require.NoError(t, err)
	return r
}

// call calls a method of the Web API and returns its answer.
func call(t *testing.T, s *slacktest.Server, method, body string, header ...string) map[string]any {
	t.Helper()
	r := post(t, s.API()+"/"+method, body, header...)
	require.Equal(t, http.StatusOK, r.status)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &answer))
	return answer
}

// posted posts a message and returns its id.
func posted(t *testing.T, s *slacktest.Server, body string) string {
	t.Helper()
	ts, ok := call(t, s, "chat.postMessage", body)["ts"].(string)
	require.True(t, ok)
	return ts
}

func delivery(typ event.Type) channel.Delivery {
	e, _ := event.Sample(typ)
	return channel.Delivery{Event: e, Attempt: 1}
}
