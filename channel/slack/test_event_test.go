package slack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// shown is what people see of a message: the texts of its blocks, or its text where it has none.
func shown(t *testing.T, raw []byte) string {
	t.Helper()
	var m struct {
		Text   string
		Blocks []struct{ Text struct{ Text string } }
	}
	require.NoError(t, json.Unmarshal(raw, &m))
	if len(m.Blocks) == 0 {
		return m.Text
	}
	var all []string
	for _, b := range m.Blocks {
		all = append(all, b.Text.Text)
	}
	return strings.Join(all, "\n")
}

// notification is the text besides the blocks.
func notification(t *testing.T, raw []byte) string {
	t.Helper()
	var m struct{ Text string }
	require.NoError(t, json.Unmarshal(raw, &m))
	return m.Text
}

// Whatever makes the message of a test, people read TEST in it and in the notification; not so of another event.
func TestATestSaysSo(t *testing.T) {
	t.Parallel()
	section := `{"type":"section","text":{"type":"plain_text","text":"x"}}`
	for name, own := range map[string]*template.Template{
		"built-in":           nil,
		"text":               compile(t, template.Slack, "> {{data.justification}}"),
		"long text":          compile(t, template.Slack, "{{data.justification}}"+strings.Repeat("word ", 5000)),
		"JSON text":          compile(t, template.JSON, `{"text":"{{slack data.justification}}"}`),
		"JSON blocks":        compile(t, template.JSON, `{"blocks":[`+section+`]}`),
		"JSON both":          compile(t, template.JSON, `{"text":"{{slack data.justification}}","blocks":[`+section+`]}`),
		"JSON without room":  compile(t, template.JSON, `{"blocks":[`+strings.Repeat(section+",", 49)+section+`]}`),
		"JSON, many words":   compile(t, template.JSON, `{"blocks":[`+strings.Repeat(strings.Replace(section, `"x"`, `"`+strings.Repeat("w", 2900)+`"`, 1)+",", 3)+strings.Replace(section, `"x"`, `"`+strings.Repeat("w", 2990)+`"`, 1)+`]}`),
		"JSON with no block": compile(t, template.JSON, `{"blocks":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t) // which refuses what is not within the limits
			for _, c := range []channel.Channel{
				w.newWebhook(func(c *slack.WebhookConfig) { c.Template, c.Interval = own, -1 }),
				w.newBot(func(c *slack.BotConfig) { c.Template, c.Interval = own, -1 }),
			} {
				d := justified(t, "it is urgent")
				raw := sent(t, c, d)
				assert.NotContains(t, string(raw), "TEST")

				d.Event = d.Event.ForTest()
				before := len(w.Requests())
				raw = sent(t, c, d)
				assert.Empty(t, faults(raw))
				assert.Contains(t, notification(t, raw), "TEST: ")
				room := name != "JSON without room" && name != "JSON, many words"
				assert.Equal(t, room, strings.Contains(shown(t, raw), "TEST: "))
				assert.Len(t, w.Requests(), before+1, "what the template makes is taken")
			}
		})
	}
}

// The longest texts leave room for what says that it is a test.
func TestLongTestsSayTest(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	hook := w.newWebhook(nil)
	for _, typ := range event.Catalogue() {
		for _, s := range []string{"𝄞", "<!channel>"} {
			raw := sent(t, hook, channel.Delivery{Event: filled(t, typ, s).ForTest(), Route: channel.RouteID{Name: "approvers"}})
			assert.Empty(t, faults(raw), typ)
			assert.Contains(t, shown(t, raw), "🔵 TEST: ", typ)
			assert.Contains(t, notification(t, raw), "🔵 TEST: ", typ)
			_, meaning, _ := strings.Cut(notice.TestLine, ": ")
			assert.Contains(t, string(raw), meaning, typ)
		}
	}
}

// A bot posts a test by itself: it neither updates the message of its subject nor becomes that message.
func TestATestOfABotTouchesNoThread(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	bot := w.newBot(func(c *slack.BotConfig) { c.Interval = -1 })
	test := sample(t, event.TypeGrantRevoked)
	test.Event = test.Event.ForTest()
	for _, d := range []channel.Delivery{test, sample(t, event.TypeRequestPending), test, sample(t, event.TypeRequestApproved)} {
		_, err := bot.Send(t.Context(), d)
		require.NoError(t, err)
	}
	all := w.Messages()
	require.Len(t, all, 4, "two tests, a headline and the reply to it")
	assert.Contains(t, string(all[0].Blocks), "TEST")
	assert.NotContains(t, string(all[1].Blocks), "TEST")
	assert.Contains(t, string(all[2].Blocks), "TEST")
	assert.Equal(t, all[1].TS, all[3].ThreadTS)
	for _, m := range all[:3] {
		assert.Empty(t, m.ThreadTS)
	}
}
