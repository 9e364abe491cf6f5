package slack_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token = slacktest.Token
	room  = slacktest.Channel
)

// hookKey is the credential in the URL of the server's webhook: the ids of the workspace and of the webhook, and a
// secret, with "/" between them.
func hookKey(s *slacktest.Server) string {
	_, key, _ := strings.Cut(s.Hook(), "/services/")
	return key
}

// workspace is Slack on loopback. It also refuses what this package does not make.
type workspace struct {
	*slacktest.Server
	url     string
	t       *testing.T
	refuses bool // that a message is refused is no failure
}

// openWorkspace starts one that ends with the test.
func openWorkspace(t *testing.T) *workspace {
	t.Helper()
	w := &workspace{Server: slacktest.Start(t), t: t}
	w.url = strings.TrimSuffix(w.API(), "/api")
	w.Handle(w.check)
	return w
}

// check refuses a message with faults, which fails the test unless that is what it is about.
func (w *workspace) check(r webhooktest.Request) slacktest.Response {
	found := faults(r.Body)
	if r.URI == "/api/auth.test" || found == nil {
		return slacktest.Response{}
	}
	if !w.refuses {
		assert.Empty(w.t, found)
	}
	return slacktest.Response{Error: "invalid_blocks"}
}

// newWebhook makes a channel that is closed with the test. change may be nil.
func (w *workspace) newWebhook(change func(*slack.WebhookConfig)) *slack.Webhook {
	w.t.Helper()
	c := w.WebhookConfig()
	if change != nil {
		change(&c)
	}
	hook, err := slack.NewWebhook(c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, hook.Close()) })
	return hook
}

// newBot makes a channel that is closed with the test. change may be nil.
func (w *workspace) newBot(change func(*slack.BotConfig)) *slack.Bot {
	w.t.Helper()
	c := w.BotConfig()
	if change != nil {
		change(&c)
	}
	bot, err := slack.NewBot(c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, bot.Close()) })
	return bot
}

// decoded is a body in JSON.
func decoded(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(raw, &body))
	return body
}

// sample is a realistic delivery.
func sample(t testing.TB, typ event.Type) channel.Delivery {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "approvers"}, Attempt: 1}
}

// justified is a request with a text of anybody's in it.
func justified(t testing.TB, text string) channel.Delivery {
	t.Helper()
	p, err := event.Decode[event.RequestPending](sample(t, event.TypeRequestPending).Event)
	require.NoError(t, err)
	p.Justification, p.Requester.Name, p.AccessBundle.Name, p.FriendlyID = text, text, text, text
	return channel.Delivery{Event: event.Must(p, event.Meta{Time: time.Unix(1700000000, 0)}), Route: channel.RouteID{Name: "approvers"}, Attempt: 1}
}

// failure returns err as the error of an attempt.
func failure(t testing.TB, err error) *webhook.Error {
	t.Helper()
	e, ok := errors.AsType[*webhook.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

// postponed checks the error of a delivery that came too soon.
func postponed(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, slack.ErrPaced)
	got := retry.Classify(t.Context(), err)
	assert.Equal(t, retry.VerdictPostponed, got.Verdict)
	assert.Positive(t, got.Delay)
	assert.LessOrEqual(t, got.Delay, time.Second)
}

// copyInto copies what from points to.
func copyInto(to, from any) { reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem()) }

// deref returns a copy of what p points to.
func deref(p any) any { return reflect.ValueOf(p).Elem().Interface() }
