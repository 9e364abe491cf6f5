package slack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
)

var update = flag.Bool("update", false, "write the golden files")

// sent delivers d with an incoming webhook and returns the body as Slack got it.
func sent(t *testing.T, c channel.Channel, d channel.Delivery) []byte {
	t.Helper()
	r, err := c.Send(t.Context(), d)
	require.NoError(t, err)
	return r.Request.Body
}

func TestGoldenMessageOfEveryEvent(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			hook, bot := w.newWebhook(nil), w.newBot(nil)
			d := sample(t, typ)
			message := sent(t, hook, d)
			d.Generation = 1 // so that the second is news below the first
			_, err := bot.Send(t.Context(), d)
			require.NoError(t, err)
			d.Generation = 2
			_, err = bot.Send(t.Context(), d)
			require.NoError(t, err)
			requests := w.Requests()
			reply, err := json.Marshal(decoded(t, requests[len(requests)-1].Body))
			require.NoError(t, err)

			for kind, raw := range map[string][]byte{"message": message, "reply": reply} {
				assert.Empty(t, faults(raw))
				var shown bytes.Buffer
				require.NoError(t, json.Indent(&shown, unescaped(raw), "", "  "))
				name := filepath.Join("testdata", string(typ)+"."+kind+".json")
				if *update {
					require.NoError(t, os.WriteFile(name, append(shown.Bytes(), '\n'), 0o600))
				}
				want, err := os.ReadFile(name)
				require.NoError(t, err)
				assert.Equal(t, string(want), shown.String()+"\n")
			}
		})
	}
}

// unescaped undoes the escapes for HTML of json.Marshal.
func unescaped(raw []byte) []byte {
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw)))
}

// What an approver needs is in the message, and in what a phone shows of it.
func TestAnApproverCanActOnTheMessage(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	message := string(sent(t, w.newWebhook(nil), sample(t, event.TypeRequestPending)))
	for _, words := range []string{
		"🟠", "Severity: warning", // how urgent
		"AR-2047", "Pending", // which, and how it stands
		"Priya Nair", "Payments troubleshooting", "INC-48213", "4 hours", "Payments data owner", // who, what, why, how long, who decides
		"<https://access.example.com/requests/AR-2047|Open request>",
	} {
		assert.Contains(t, message, words)
	}
	text := w.Messages()[0].Text
	for _, words := range []string{"🟠", "Priya Nair", "Payments troubleshooting", "4 hours"} {
		assert.Contains(t, text, words)
	}
}

func TestS62_EventTextIsLiteral(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"<!channel>", "<!here|here>", "<@U024BE7LH>", "<#C024BE91L|general>", "<!subteam^SAZ94GDB8>", "<http://evil.example|Approve>",
		"<https://evil.example>", "<!date^0^now^https://evil.example|Approve>", "&lt;!channel&gt;", "&amp;lt;!channel>", "> <!channel", "*bold* _it_ `code` :x:",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			d := justified(t, text)
			raw := sent(t, w.newWebhook(nil), d)
			for _, mark := range marks(raw) {
				assert.Regexp(t, `^(!date\^\d+\^\{date_short_pretty\}, \{time\}\|[^<>|]+|https://access\.example\.com/requests/AR-2047\|Open request)$`, mark)
			}
			var m struct {
				Text   string
				Blocks []struct {
					Text   struct{ Type, Text string }
					Fields []struct{ Type, Text string }
				}
			}
			require.NoError(t, json.Unmarshal(raw, &m))
			literal := 0
			for _, b := range m.Blocks {
				for _, o := range append(b.Fields, b.Text) {
					if strings.Contains(o.Text, text) {
						assert.Equal(t, "plain_text", o.Type)
						literal++
					}
				}
			}
			assert.GreaterOrEqual(t, literal, 3, "title, bundle and justification say it word for word")
			assert.Contains(t, m.Text, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text))
		})
	}
}

// Links come from the notice only, and are escaped as mrkdwn wants it.
func TestLinkIsEscaped(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	hook := w.newWebhook(nil)
	for raw, link := range map[string]string{
		"https://access.example.com/r?id=1&tab=2":   "<https://access.example.com/r?id=1&amp;tab=2|Open request>",
		"https://access.example.com/r|Approve":      "<https://access.example.com/r%7CApprove|Open request>",
		"https://access.example.com/><!channel>":    "<https://access.example.com/%3E%3C%21channel%3E|Open request>",
		"javascript:alert(1)":                       "",
		"https://access.example.com@evil.example/":  "",
		"https://access.example.com/ <!channel> \n": "",
	} {
		p, err := event.Decode[event.RequestPending](sample(t, event.TypeRequestPending).Event)
		require.NoError(t, err)
		p.URL = raw
		message := string(sent(t, hook, channel.Delivery{Event: event.Must(p, event.Meta{}), Route: channel.RouteID{Name: "approvers"}}))
		if link == "" {
			assert.NotContains(t, message, "Open request", raw)
		} else {
			assert.Contains(t, message, link)
		}
	}
}

// hostEvent is an event of a host's own.
type hostEvent map[string]any

func (hostEvent) EventType() event.Type { return "vault.key_rotated" }

// filled returns the sample of a type with every text in it replaced by s, as long as an event may be.
func filled(t *testing.T, typ event.Type, s string) event.Event {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	var form map[string]any
	d := json.NewDecoder(bytes.NewReader(e.JSON()))
	d.UseNumber()
	require.NoError(t, d.Decode(&form))
	texts := 0
	var fill func(v any, with string) any
	fill = func(v any, with string) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				if k != "url" && k != "source_url" && k != "status" && k != "priority" {
					v[k] = fill(v[k], with)
				}
			}
			return v
		case []any:
			for i := range v {
				v[i] = fill(v[i], with)
			}
			return v
		case string:
			texts++
			if with != "" {
				return with
			}
		}
		return v
	}
	fill(form["data"], "") // counts
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	form["data"] = fill(form["data"], strings.Repeat(s, min(100<<10/texts, 20<<10)/len(encoded)))
	form["id"] = "worst-" + e.ID()
	raw, err := json.Marshal(form)
	require.NoError(t, err)
	worst, err := event.Parse(raw)
	require.NoError(t, err)
	return worst
}

func TestLimitsHoldForTheWorstInput(t *testing.T) {
	t.Parallel()
	many := hostEvent{}
	for i := range 60 {
		many[fmt.Sprintf("%02d%s", i, strings.Repeat("𝄞&*<!channel>", 20))] = strings.Repeat("𝄞\n", 500)
	}
	for name, s := range map[string]string{
		"letters": "a", "words": "word ", "4-byte runes": "𝄞", "ampersands": "&", "quotes": `"`, "backslashes": `\`, "lines": "x\n",
		"marks": "<!channel>", "accents": "e\u0301\u0302", "families": "👩‍👩‍👧‍👧", "controls": "\x00\x1b", "bold": "*_~`", "CJK": "漢", "separators": "x\u2028",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t) // which refuses what is not within the limits
			hook, bot := w.newWebhook(nil), w.newBot(nil)
			encoded, err := json.Marshal(s)
			require.NoError(t, err)
			deliveries := []channel.Delivery{{Event: event.Must(many, event.Meta{}), Route: channel.RouteID{Name: "approvers"}}, justified(t, strings.Repeat(s, 56<<10/len(encoded)))}
			for _, typ := range event.Catalogue() {
				deliveries = append(deliveries, channel.Delivery{Event: filled(t, typ, s), Route: channel.RouteID{Name: "approvers"}})
			}
			for _, d := range deliveries {
				for i, c := range []channel.Channel{hook, bot, bot} {
					d.Generation = int64(i)
					raw := sent(t, c, d)
					assert.Empty(t, faults(raw), "%v", d.Event)
					for _, mark := range marks(raw) {
						assert.Regexp(t, `^(!date\^\d+\^|https://(access|directory)\.example\.com/)`, mark)
					}
				}
			}
		})
	}
}

// What had to go is marked, and the most important part stays.
func TestLongTextIsMarked(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	d := justified(t, strings.Repeat("漢字 ", 4000))
	message := string(sent(t, w.newWebhook(nil), d))
	assert.Contains(t, message, "…\"")
	for _, words := range []string{"Pending", "4 hours", "Payments data owner", "Open request"} {
		assert.Contains(t, message, words)
	}

	many := hostEvent{}
	for i := range 22 {
		many[fmt.Sprintf("k%02d%s", i, strings.Repeat("𝄞", 60))] = strings.Repeat("𝄞", 500)
	}
	message = string(sent(t, w.newWebhook(nil), channel.Delivery{Event: event.Must(many, event.Meta{}), Route: channel.RouteID{Name: "approvers"}}))
	assert.Regexp(t, `… and \d+ more details`, message)
}

func TestInstantsAreShownInLocalTime(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	e := event.Must(hostEvent{"a": event.Timestamp{Time: time.Unix(1700000000, 0)}, "b": event.Timestamp{Time: time.Unix(-500000000, 0)}}, event.Meta{Time: time.Unix(1700000001, 0)})
	message := string(sent(t, w.newWebhook(nil), channel.Delivery{Event: e, Route: channel.RouteID{Name: "approvers"}}))
	assert.Contains(t, message, "<!date^1700000000^{date_short_pretty}, {time}|2023-11-14 22:13 UTC>")
	assert.Contains(t, message, "<!date^1700000001^{date_short_pretty}, {time}|2023-11-14 22:13 UTC>")
	assert.Contains(t, message, `"text":"1954-02-26 23:06 UTC"`, "Slack has no dates before 1970")
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "<!channel>", "𝄞", "&lt;", "a\x00\u202e\nb", strings.Repeat("👩‍👩‍👧‍👧", 400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := slack.Message(justified(t, s).Event)
		if found := faults(raw); found != nil {
			t.Fatal(found)
		}
		for _, mark := range marks(raw) {
			if !strings.HasPrefix(mark, "!date^") && !strings.HasPrefix(mark, "https://access.example.com/") {
				t.Fatalf("<%s>", mark)
			}
		}
	})
}
