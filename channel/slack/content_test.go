package slack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// Nothing that an event holds keeps it from being posted, whatever the template makes of it: the workspace refuses what
// Slack would refuse.
func TestNoContentKillsAMessage(t *testing.T) {
	t.Parallel()
	templates := map[string]*template.Template{
		"built-in":    nil,
		"text":        compile(t, template.Slack, "{{data.justification}}"),
		"long text":   compile(t, template.Slack, strings.Repeat("{{data.justification}}", 4)),
		"JSON text":   compile(t, template.JSON, `{"text":"{{slack data.justification}}"}`),
		"JSON blocks": compile(t, template.JSON, `{"blocks":[{"type":"section","text":{"type":"mrkdwn","text":"{{slack data.justification}}"}}]}`),
		"JSON header": compile(t, template.JSON, `{"blocks":[{"type":"header","text":{"type":"plain_text","text":"{{data.justification}}"}}]}`),
		"JSON null":   compile(t, template.JSON, `{{data.nothing}}`),
		"JSON, much":  compile(t, template.JSON, `{"text":"`+strings.Repeat("{{slack data.justification}}", 5)+`"}`),
	}
	for name, own := range templates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			w.refuses = strings.HasPrefix(name, "JSON")
			hook := w.newWebhook(func(c *slack.WebhookConfig) { c.Template, c.Interval = own, -1 })
			bot := w.newBot(func(c *slack.BotConfig) { c.Template, c.Interval = own, -1 })
			for _, text := range []string{
				"", " ", "\n", "&", "<", "<!channel>", "é", "𝄞", "e\u0301", "\x00", "\u202e", "\u200b", "\"", "\\", "`", "*", ":x:", "{{", "\xff",
			} {
				for _, n := range []int{1, 30 << 10} {
					var d channel.Delivery
					for ; ; n /= 2 { // as much of it as an event may hold
						e, err := event.New(event.RequestPending{AccessRequest: event.AccessRequest{
							ID: "r-1", FriendlyID: "AR-1", Justification: strings.Repeat(text, n), Requester: event.Person{Name: text},
						}}, event.Meta{})
						if err == nil {
							d = channel.Delivery{Event: e, Route: channel.RouteID{Name: "approvers"}, Attempt: 1}
							break
						}
						require.Greater(t, n, 1, "%v", err)
					}
					_, err := hook.Send(t.Context(), d)
					require.NoError(t, err, "%d of %q", n, text)
					_, err = bot.Send(t.Context(), d)
					require.NoError(t, err, "%d of %q", n, text)
				}
			}
		})
	}
}

// The time of a request covers what the template makes.
func TestTotalCoversTheTemplate(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	limited := func(o *slack.Options) {
		o.Template, o.Timeouts.Total = compile(t, template.Slack, "{{data.justification}}"), time.Nanosecond
	}
	for _, c := range []channel.Channel{
		w.newWebhook(func(c *slack.WebhookConfig) { limited(&c.Options) }), w.newBot(func(c *slack.BotConfig) { limited(&c.Options) }),
	} {
		_, err := c.Send(t.Context(), justified(t, "x"))
		assert.Equal(t, webhook.KindRenderTimeout, failure(t, err).Kind)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	}
	assert.Empty(t, w.Requests())
}

// No copy, embedding or verb prints a token or a webhook's path.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	hook, bot := w.newWebhook(nil), w.newBot(nil)
	type embedded struct {
		*slack.Webhook
		bot *slack.Bot
	}
	type hidden struct {
		hook slack.Webhook
		bot  slack.Bot
	}
	b := slack.BotConfig{Token: secret.Literal(token), Channel: room}
	key := hookKey(w.Server)
	c := slack.WebhookConfig{URL: "https://hooks.slack.com/services/" + key}
	h := hidden{}
	copyInto(&h.hook, hook)
	copyInto(&h.bot, bot)
	for name, v := range map[string]any{
		"webhook": hook, "bot": bot, "embedded": embedded{hook, bot}, "copies": &h, "list": []any{hook, bot, b, c, &b, &c},
		"dereferenced webhook": deref(hook), "dereferenced bot": deref(bot), "bot config": b, "hidden bot config": struct{ c slack.BotConfig }{b},
		"webhook config": c, "embedded webhook config": struct{ slack.WebhookConfig }{c},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
			shown := fmt.Sprintf(verb, v)
			for _, planted := range []string{token, key, fmt.Sprintf("%x", token), fmt.Sprintf("%x", key)} {
				assert.NotContains(t, shown, planted, "%s of %s", verb, name)
			}
		}
	}
}
