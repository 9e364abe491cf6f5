package slack_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

func (w *workspace) templated(mode template.Mode, source string) *slack.Webhook {
	w.t.Helper()
	return w.newWebhook(func(c *slack.WebhookConfig) { c.Template = compile(w.t, mode, source) })
}

func TestOwnTextInMrkdwn(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	hook := w.templated(template.Slack, "*{{data.requester.name}}* asks: {{data.justification}} <https://access.example.com/|Look>\n")
	raw := sent(t, hook, justified(t, "<!channel> & <http://evil.example|Approve>"))
	const text = "&lt;!channel&gt; &amp; &lt;http://evil.example|Approve&gt;"
	var m struct {
		Text   string
		Blocks []map[string]any
	}
	require.NoError(t, json.Unmarshal(raw, &m))
	assert.Equal(t, []map[string]any{{"type": "section", "text": map[string]any{
		"type": "mrkdwn", "verbatim": true, "text": "*" + text + "* asks: " + text + " <https://access.example.com/|Look>",
	}}}, m.Blocks)
	assert.Contains(t, m.Text, "&lt;!channel&gt;", "the notification is still the notice's")
}

// However long it is, own text stays within the limits, ends with a mark, and is cut neither within a line that fits
// nor within a link or an entity.
func TestOwnTextIsCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		source, text string
		ends         string
	}{
		"one section":       {"{{data.justification}}", strings.Repeat("x", 3000), "x"},
		"two sections":      {"{{data.justification}}", strings.Repeat("x", 3001), "x"},
		"lines":             {"{{data.justification}}", strings.Repeat(strings.Repeat("x", 96)+"\n", 100), "x"},
		"too long":          {"{{data.justification}}", strings.Repeat("word ", 5000), "…"},
		"4-byte runes":      {"{{data.justification}}", strings.Repeat("𝄞", 10000), "…"},
		"entities":          {"{{data.justification}}", strings.Repeat("&", 10000), "…"},
		"quotes":            {"{{data.justification}}", strings.Repeat(`"\`, 10000), "…"},
		"controls":          {"{{data.justification}}", strings.Repeat("\x01", 10000), "…"},
		"families":          {"{{data.justification}}", strings.Repeat("👩‍👩‍👧‍👧", 2000), "…"},
		"links":             {"{{#each data.access_groups}}" + strings.Repeat("<https://access.example.com/|Open>", 400) + "{{/each}}", "", "…"},
		"an endless link":   {"<https://access.example.com/{{data.justification}}>", strings.Repeat("x", 10000), ""},
		"a gap":             {"{{data.justification}}", "x" + strings.Repeat(" ", 9000) + "x", "x"},
		"accents":           {"{{data.justification}}", "e" + strings.Repeat("\u0301", 4000), "\u0301"},
		"an open ampersand": {strings.Repeat("&", 20000) + "{{id}}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t) // which refuses what is not within the limits
			raw := sent(t, w.templated(template.Slack, tc.source), justified(t, tc.text))
			assert.Empty(t, faults(raw))
			var m struct {
				Blocks []struct{ Text struct{ Text string } }
			}
			require.NoError(t, json.Unmarshal(raw, &m))
			var whole strings.Builder
			for _, b := range m.Blocks {
				piece := b.Text.Text
				assert.NotEmpty(t, piece)
				if strings.Contains(tc.source, "data.justification") && name != "an endless link" {
					assert.NotRegexp(t, `&[a-z]*$`, strings.TrimSuffix(piece, "…"))
				}
				if name == "links" {
					assert.Equal(t, strings.Count(piece, "<"), strings.Count(piece, ">"))
				}
				if name == "lines" {
					assert.Zero(t, (len(piece)+1)%97, "whole lines")
				}
				whole.WriteString(piece)
			}
			assert.True(t, strings.HasSuffix(whole.String(), tc.ends))
			if tc.ends == "x" {
				assert.Equal(t, strings.Count(tc.text, "x"), strings.Count(whole.String(), "x"), "nothing is lost")
			}
		})
	}
}

func TestOwnMessageInJSON(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	const source = `{"blocks":[{"type":"section","text":{"type":"mrkdwn","text":"*{{slack data.justification}}*"}}]}`
	raw := sent(t, w.templated(template.JSON, source), justified(t, `<!channel> "quoted"`))
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	assert.Equal(t, []any{map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": `*&lt;!channel&gt; "quoted"*`}}}, m["blocks"])
	assert.Contains(t, m["text"], "&lt;!channel&gt;", "a text for notifications is added")
	assert.Equal(t, false, m["unfurl_links"])

	raw = sent(t, w.templated(template.JSON, `{"text":"{{subject}}","unfurl_links":true}`), sample(t, event.TypeRequestPending))
	require.NoError(t, json.Unmarshal(raw, &m))
	assert.Equal(t, sample(t, event.TypeRequestPending).Event.Subject(), m["text"], "what the template says counts")
	assert.Equal(t, true, m["unfurl_links"])
}

// With a Bot, own messages are brought up to date and replied to like the built-in one.
func TestOwnMessagesOfABot(t *testing.T) {
	t.Parallel()
	for mode, source := range map[template.Mode]string{
		template.Slack: "{{event_type}}",
		template.JSON:  `{"text":"{{event_type}}","blocks":[{"type":"section","text":{"type":"plain_text","text":"{{event_type}}"}}]}`,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			bot := w.newBot(func(c *slack.BotConfig) { c.Template = compile(t, mode, source) })
			deliver(t, bot, event.TypeRequestPending, event.TypeRequestApproved)
			all := w.Messages()
			require.Len(t, all, 2)
			assert.Contains(t, string(all[0].Blocks), "request.approved")
			assert.Contains(t, string(all[1].Blocks), "request.approved")
			assert.Equal(t, all[0].TS, all[1].ThreadTS)
		})
	}
}

// Where a message goes is not the template's to say: one that does is refused, not sent elsewhere without a word.
func TestATemplateThatSaysWhereTheMessageGoes(t *testing.T) {
	t.Parallel()
	for source, fields := range map[string]string{
		`{"text":"x","channel":"#secret"}`:                                                         "channel",
		`{"text":"x","channel":"{{data.justification}}","ts":"1"}`:                                 "channel and ts",
		`{"text":"x","thread_ts":"9.9","reply_broadcast":true}`:                                    "thread_ts and reply_broadcast",
		`{"text":"x"{{#if data.requester}},"channel":"C1"{{/if}} }`:                                "channel",
		`{"text":"x"{{#unless data.requester}},"channel":"C1"{{/unless}} }`:                        "channel",
		`{"text":"x","blocks":[{"type":"section","text":{"type":"plain_text","text":"channel"}}]}`: "",
	} {
		o := slack.Options{Template: compile(t, template.JSON, source)}
		_, err := slack.NewWebhook(slack.WebhookConfig{URL: "https://hooks.slack.com/services/T0/B0/S3CRET", Options: o})
		_, botErr := slack.NewBot(slack.BotConfig{Token: secret.Literal(token), Channel: room, Options: o})
		if fields == "" {
			require.NoError(t, err)
			require.NoError(t, botErr)
			continue
		}
		check(t, err, "Template", "says where the message goes, with "+fields)
		check(t, botErr, "Template", "says where the message goes, with "+fields)
	}
	// What shows with some event only is left out, and logged.
	var lines bytes.Buffer
	w := openWorkspace(t)
	hook := w.newWebhook(func(c *slack.WebhookConfig) {
		c.Template = compile(t, template.JSON, `{"text":"x"{{#equal data.justification "secret"}},"channel":"C1"{{/equal}} }`)
		c.Logger = slog.New(slog.NewTextHandler(&lines, nil))
	})
	raw := sent(t, hook, justified(t, "secret"))
	assert.NotContains(t, string(raw), "C1")
	assert.Contains(t, lines.String(), "fields=[channel]")
}

// A template that fails costs no event its message. Who tries it with a test event is shown why it failed.
func TestATemplateThatFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode         template.Mode
		source, says string
	}{
		"not an object": {template.JSON, `["{{data.justification}}"]`, "not a JSON object"},
		"not JSON":      {template.JSON, `{"a":[{{#each data.approvals}}1,{{/each}}] }`, "template 1:42"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines bytes.Buffer
			w := openWorkspace(t)
			hook := w.newWebhook(func(c *slack.WebhookConfig) {
				c.Template, c.Logger, c.Interval = compile(t, tc.mode, tc.source), slog.New(slog.NewTextHandler(&lines, nil)), -1
			})
			d := justified(t, "T0P-S3CRET")
			raw := sent(t, hook, d)
			assert.Contains(t, string(raw), "T0P-S3CRET", "the built-in form")
			assert.Empty(t, faults(raw))
			assert.Contains(t, lines.String(), tc.says)
			assert.NotContains(t, lines.String(), "T0P-S3CRET")

			d.Event = d.Event.ForTest()
			requests := len(w.Requests())
			_, err := hook.Send(t.Context(), d)
			assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
			assert.Equal(t, webhook.KindRender, failure(t, err).Kind)
			assert.Contains(t, err.Error(), tc.says)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			assert.Len(t, w.Requests(), requests)
		})
	}
}

func FuzzOwnText(f *testing.F) {
	for _, s := range []string{"", "<", "&", "<a|b>", "&amp;", "x\n", "𝄞", "👩‍👩‍👧‍👧", "\xff"} {
		f.Add(s, 700)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 1 || n > 4000 || strings.TrimSpace(s) == "" {
			return
		}
		raw := slack.OwnText(strings.Repeat(s, n)[:min(len(s)*n, 60<<10)])
		if found := faults(raw); found != nil {
			t.Fatal(found)
		}
	})
}
