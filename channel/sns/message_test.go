package sns_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// last sends d, which must succeed, and returns what came.
func last(t testing.TB, ch *sns.Channel, aws *cloud, d channel.Delivery) request {
	t.Helper()
	_, err := ch.Send(t.Context(), d)
	require.NoError(t, err)
	seen := aws.seen()
	require.NoError(t, seen[len(seen)-1].err)
	return seen[len(seen)-1]
}

// about is a delivery of an event with that id, tenant and subject.
func about(m event.Meta, route string) channel.Delivery {
	return channel.Delivery{Event: event.Must(event.GrantExpired{}, m), Route: channel.RouteID{Name: route}, Attempt: 1}
}

// The deduplication id is the same for all attempts and no others: SNS would drop those.
func TestS70_FIFODeduplicationID(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{Endpoint: serve(t, aws), TopicARN: fifoARN})
	d := about(event.Meta{ID: "e-1", Subject: "AR-2047"}, "on-call")
	id := func(d channel.Delivery) string {
		got := last(t, ch, aws, d).form.Get("MessageDeduplicationId")
		assert.Regexp(t, `^[!-~]{1,128}$`, got)
		return got
	}
	first := id(d)
	assert.Equal(t, d.ID(), first)
	retried := d
	retried.Attempt = 7
	assert.Equal(t, first, id(retried), "a retry is the same message")

	seen := map[string]bool{first: true}
	longest := strings.Repeat("e", 100)
	for _, other := range []channel.Delivery{
		about(event.Meta{ID: "e-2", Subject: "AR-2047"}, "on-call"),
		about(event.Meta{ID: "e-1", Subject: "AR-2047"}, "audit"),
		{Event: d.Event, Route: channel.RouteID{Name: "on-call"}, Attempt: 1, Generation: 1},
		{Event: d.Event, Route: channel.RouteID{Name: "on-call"}, Attempt: 1, Generation: 1764096000000000000},
		about(event.Meta{ID: longest}, "on-call"),
		{Event: about(event.Meta{ID: longest}, "").Event, Route: channel.RouteID{Name: "on-call"}, Generation: 1764096000000000000},
		{Event: about(event.Meta{ID: longest}, "").Event, Route: channel.RouteID{Name: "on-call"}, Generation: 1764096000000000001},
		{Event: about(event.Meta{ID: longest}, "").Event, Route: channel.RouteID{Name: "on-call"}, Generation: -1},
	} {
		got := id(other)
		assert.False(t, seen[got], "%v %d", other.Event, other.Generation)
		seen[got] = true
	}
}

func TestS70_FIFOGroup(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{Endpoint: serve(t, aws), TopicARN: fifoARN})
	for _, row := range []struct{ tenant, subject, want string }{
		{"acme", "AR-2047", "acme/AR-2047"},
		{"", "AR-2047", "AR-2047"},
		{"acme/emea", "REQ-1", "acme%2femea/REQ-1"},
		{"acme", "emea/REQ-1", "acme/emea%2fREQ-1"},
		{"", "two words", "two%20words"},
		{"", "ü", "%c3%bc"},
		{"acme", "", ""}, // hashed
		{"", "", ""},
		{strings.Repeat("t", 64), strings.Repeat("s", 64), ""},
	} {
		got := last(t, ch, aws, about(event.Meta{Tenant: row.tenant, Subject: row.subject}, "r")).form.Get("MessageGroupId")
		if row.want == "" {
			assert.Regexp(t, `^[!-~]{0,127}~[0-9a-f]{32,64}$`, got)
			continue
		}
		assert.Equal(t, row.want, got)
	}

	source := compile(t, template.Header, "team {{attributes.team}}")
	d := about(event.Meta{Attributes: map[string]string{"team": "a"}}, "r")
	other := about(event.Meta{Attributes: map[string]string{"team": "b"}}, "r")
	ch = open(t, sns.Config{Endpoint: serve(t, aws), TopicARN: fifoARN, Group: source})
	first := last(t, ch, aws, d).form.Get("MessageGroupId")
	assert.Equal(t, first, last(t, ch, aws, d).form.Get("MessageGroupId"))
	assert.NotEqual(t, first, last(t, ch, aws, other).form.Get("MessageGroupId"))

	ch = open(t, sns.Config{Endpoint: serve(t, aws), Group: compile(t, template.Header, "{{attributes.team}}")})
	form := last(t, ch, aws, d).form
	assert.Equal(t, "a", form.Get("MessageGroupId"), "for the fair queues of a standard topic")
	assert.NotContains(t, form, "MessageDeduplicationId")
}

func TestS70_SubjectIsShortAndOneLine(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{Endpoint: serve(t, aws), Subject: compile(t, template.Header, "{{data.justification}}")})
	for given, want := range map[string]string{
		"plain ü 語":                 "plain ü 語",
		strings.Repeat("a", 99):     strings.Repeat("a", 99),
		strings.Repeat("a", 100):    strings.Repeat("a", 98) + "…",
		strings.Repeat("𝄞", 49):     strings.Repeat("𝄞", 49),
		strings.Repeat("𝄞", 50):     strings.Repeat("𝄞", 49) + "…",
		strings.Repeat("word ", 30): strings.Repeat("word ", 19) + "wor…",
		"a\r\nBcc: x@evil.example":  "a  Bcc: x@evil.example",
		"\u202eevil\u2066 \u200f":   "evil",
		"a\u2028b\u0085c\x7f":       "a b c",
		"   ":                       "",
		"":                          "",
	} {
		form := last(t, ch, aws, justified(t, given, event.Meta{})).form
		assert.Equal(t, want, form.Get("Subject"), "%q", given)
		assert.Equal(t, want != "", form.Has("Subject"))
		assert.Less(t, len(utf16.Encode([]rune(form.Get("Subject")))), 100)
	}
}

// sizeOf counts as SNS does.
func sizeOf(form url.Values) int {
	n := len(form.Get("Message"))
	for i := 1; form.Has(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)); i++ {
		for _, part := range []string{"Name", "Value.DataType", "Value.StringValue"} {
			n += len(form.Get(fmt.Sprintf("MessageAttributes.entry.%d.%s", i, part)))
		}
	}
	return n
}

// The size is that of the message with its attributes. What is too large is cut to it, and not to less.
func TestS34_S70_TooLargeIsCut(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	target := serve(t, aws)
	long := func(n int) channel.Delivery {
		p := event.RequestApproved{AccessRequest: event.AccessRequest{ID: "AR-1", Justification: strings.Repeat("é", n), FriendlyID: "AR-2047"}}
		return channel.Delivery{Event: event.Must(p, event.Meta{ID: "e-1", Subject: "s"}), Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
	}
	twice := compile(t, template.JSON, `{"why": "{{data.justification}}{{data.justification}}", "id": "{{data.friendly_id}}"}`)
	for _, limit := range []int{0, 32 << 10, 1 << 20} {
		c := sns.Config{Endpoint: target, MaxSize: limit, Attributes: []sns.Attribute{{Name: "custom"}}}
		if limit == 0 {
			limit = 256 << 10
		}
		for _, n := range []int{limit / 8, limit / 2, 1 << 20} {
			d := long(n)

			form := last(t, open(t, c), aws, d).form
			assert.LessOrEqual(t, sizeOf(form), limit)
			sent, err := event.Parse([]byte(form.Get("Message")))
			require.NoError(t, err)
			assert.Equal(t, "e-1", sent.ID())
			if n > limit {
				assert.Equal(t, []string{"data.justification"}, sent.Shortened())
			}
			if len(d.Event.JSON()) > limit {
				assert.Greater(t, sizeOf(form), limit-100, "no more is cut than has to be")
			}

			c.Body = compile(t, template.Text, "{{data.friendly_id}}: {{data.justification}}{{data.justification}}")
			form = last(t, open(t, c), aws, d).form
			assert.LessOrEqual(t, sizeOf(form), limit)
			assert.True(t, strings.HasPrefix(form.Get("Message"), "AR-2047: éé"))

			c.Body = twice
			form = last(t, open(t, c), aws, d).form
			assert.LessOrEqual(t, sizeOf(form), limit)
			var message struct{ Why, ID string }
			require.NoError(t, json.Unmarshal([]byte(form.Get("Message")), &message))
			assert.Equal(t, "AR-2047", message.ID)
			assert.True(t, strings.HasPrefix(message.Why, "éé"))
			c.Body = nil
		}
	}
}

// A template that fails costs its part and not the event; what it withholds stays withheld. Whoever tests it learns
// about it.
func TestWhatCannotBeMadeIsLeftOut(t *testing.T) {
	t.Parallel()
	receiver := newCloud()
	target := serve(t, receiver)
	failing := func(mode template.Mode) *template.Template {
		tpl, err := template.Compile("{{broken}}", template.Options{Mode: mode, Helpers: map[string]template.Helper{
			"broken": {Call: func([]any) (any, error) { return nil, errors.New("helper") }},
		}})
		require.NoError(t, err)
		return tpl
	}
	d := justified(t, "private matters", event.Meta{ID: "e-1", Tenant: "acme", Attributes: map[string]string{"custom": "private"}})
	for name, row := range map[string]struct {
		c     sns.Config
		says  string
		check func(form url.Values)
	}{
		"body":      {sns.Config{Body: failing(template.Text)}, "Body: ", nil},
		"json body": {sns.Config{Body: failing(template.JSON)}, "Body: ", nil},
		"empty":     {sns.Config{Body: compile(t, template.Text, "{{nothing}}")}, "Body: what it made is empty", nil},
		"too long":  {sns.Config{Body: compile(t, template.JSON, `{"s": "`+strings.Repeat("x", 40<<10)+`"}`), MaxSize: 32 << 10}, "Body: what it made is larger", nil},
		"subject": {sns.Config{Subject: failing(template.Header)}, "Subject: ", func(form url.Values) {
			assert.False(t, form.Has("Subject"))
		}},
		"group": {sns.Config{Group: failing(template.Header), TopicARN: fifoARN}, "Group: ", func(form url.Values) {
			assert.Equal(t, "acme/6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", form.Get("MessageGroupId"))
		}},
		"attribute": {sns.Config{Attributes: []sns.Attribute{{Name: "why", Value: failing(template.Header)}}}, "Attributes: why: ", func(form url.Values) {
			assert.NotContains(t, form.Encode(), "why")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			row.c.Endpoint, row.c.Logger = target, slog.New(slog.NewTextHandler(&log, nil))
			ch := open(t, row.c)
			form := last(t, ch, receiver, d).form
			if row.check != nil {
				row.check(form)
			} else {
				assert.JSONEq(t, `{"id":"e-1","event_type":"request.approved","event_time":`+string(d.Event.Decoded()["event_time"].(json.Number))+
					`,"tenant":"acme","subject":"`+d.Event.Subject()+`","shortened":["data","attributes"],"data":{}}`, form.Get("Message"))
			}
			assert.Contains(t, log.String(), "level=WARN")
			assert.Contains(t, log.String(), strings.TrimSuffix(row.says, " "))
			assert.NotContains(t, log.String(), "private")

			n := len(receiver.seen())
			test := d
			test.Event = d.Event.ForTest()
			receipt, err := ch.Send(t.Context(), test)
			assert.Equal(t, sns.KindRender, failure(t, err).Kind)
			assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
			assert.Contains(t, err.Error(), row.says)
			assert.Equal(t, "POST "+target, receipt.Request.Start)
			assert.Len(t, receiver.seen(), n, "nothing is sent")
		})
	}
	_, err := open(t, sns.Config{Endpoint: target}).Send(t.Context(), channel.Delivery{})
	assert.Equal(t, sns.KindNoEvent, failure(t, err).Kind)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = open(t, sns.Config{Endpoint: target}).Send(done, sample())
	require.ErrorIs(t, err, context.Canceled)
}

// TestEveryEventIsPublished: no event is refused, by the channel or by the limits of SNS, for what somebody wrote into
// it.
func TestEveryEventIsPublished(t *testing.T) {
	t.Parallel()
	receiver := newCloud()
	target := serve(t, receiver)
	var channels []*sns.Channel
	for _, c := range []sns.Config{
		{},
		{TopicARN: fifoARN, MaxSize: 32 << 10, Attributes: []sns.Attribute{
			{Name: "custom"}, {Name: "why", Value: compile(t, template.Header, "{{data.justification}}")},
		}},
		{
			Body:    compile(t, template.JSON, `{"text": "{{data.justification}} {{data.reason}}", "data": {{json data}} }`),
			Subject: compile(t, template.Header, "{{data.justification}}"), Group: compile(t, template.Header, "{{data.justification}}"),
		},
		{Body: compile(t, template.Text, "{{data.justification}}"), TopicARN: fifoARN, MaxSize: 32 << 10},
	} {
		c.Endpoint, c.Logger = target, slog.New(slog.DiscardHandler)
		channels = append(channels, open(t, c))
	}
	texts := []string{
		"", " ", "x", "\x00", "\ufffe", "\uffff", "\xff", "\ud7ff", "\r\n", "=", `"`, `\`, "{{x}}", "👩‍👧", "\u202e", "<", "&", "]]>", "\x7f", "é",
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 80 {
		text := strings.Repeat(texts[r.IntN(len(texts))]+texts[r.IntN(len(texts))], r.IntN(1<<r.IntN(19)))
		d := justified(t, text, event.Meta{
			Tenant: strings.Repeat("é", r.IntN(255)), Subject: strings.Repeat(`"/`, r.IntN(127)),
			Attributes: map[string]string{"custom": text, "other": text},
		})
		d.Route.Name = strings.Repeat("r", 100)
		for _, ch := range channels {
			form := last(t, ch, receiver, d).form
			require.LessOrEqual(t, sizeOf(form), 256<<10)
			require.NotEmpty(t, form.Get("Message"))
			require.NotContains(t, form.Get("Message"), "\x00")
			if group := form.Get("MessageGroupId"); group != "" {
				require.Regexp(t, `^[!-~]{1,128}$`, group)
			}
		}
	}
}
