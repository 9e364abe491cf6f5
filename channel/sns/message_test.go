package sns_test

import (
	"context"
	"errors"
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
	return channel.Delivery{Event: event.Must(event.GrantExpired{}, m), Route: route, Attempt: 1}
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
		{Event: d.Event, Route: "on-call", Attempt: 1, Generation: 1},
		{Event: d.Event, Route: "on-call", Attempt: 1, Generation: 1764096000000000000},
		about(event.Meta{ID: longest}, "on-call"),
		{Event: about(event.Meta{ID: longest}, "").Event, Route: "on-call", Generation: 1764096000000000000},
		{Event: about(event.Meta{ID: longest}, "").Event, Route: "on-call", Generation: 1764096000000000001},
		{Event: about(event.Meta{ID: longest}, "").Event, Route: "on-call", Generation: -1},
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
		{"acme", "", "acme"},
		{"", "", "grant.expired"},
		{"", "two words", ""}, // hashed
		{"", "ü", ""},
		{strings.Repeat("t", 64), strings.Repeat("s", 64), ""},
	} {
		got := last(t, ch, aws, about(event.Meta{Tenant: row.tenant, Subject: row.subject}, "r")).form.Get("MessageGroupId")
		if row.want == "" {
			assert.Regexp(t, `^[0-9a-f]{64}$`, got)
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

// The size is that of the message with its attributes, and nothing is cut off to fit.
func TestS34_S70_TooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	target := serve(t, aws)
	body := compile(t, template.Text, strings.Repeat("{{data.justification}}", 8)+"{{data.friendly_id}}") // an event is smaller
	d := func(n int) channel.Delivery {
		p := event.RequestApproved{AccessRequest: event.AccessRequest{
			Justification: strings.Repeat("x", n/8), FriendlyID: strings.Repeat("x", n%8),
		}}
		return channel.Delivery{Event: event.Must(p, event.Meta{ID: "e-1", Subject: "s"}), Route: "on-call", Attempt: 1}
	}
	attrs := 0
	for name, value := range map[string]string{"delivery_id": d(1).ID(), "event_type": "request.approved", "severity": "info", "subject": "s", "route": "on-call"} {
		attrs += len(name) + len("String") + len(value)
	}
	for _, limit := range []int{0, 1000, 1 << 20} {
		ch := open(t, sns.Config{Endpoint: target, Body: body, MaxSize: limit})
		if limit == 0 {
			limit = 256 << 10
		}
		before := len(aws.seen())
		_, err := ch.Send(t.Context(), d(limit-attrs))
		require.NoError(t, err)
		receipt, err := ch.Send(t.Context(), d(limit-attrs+1))
		assert.Equal(t, sns.KindTooLarge, failure(t, err).Kind)
		assert.Equal(t, retry.Final, retry.Classify(t.Context(), err).Verdict)
		assert.Equal(t, channel.Receipt{}, receipt)
		assert.Len(t, aws.seen(), before+1)
	}
}

func TestWhatCannotBeMadeIsNotSent(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	target := serve(t, aws)
	failing := func(mode template.Mode) *template.Template {
		tpl, err := template.Compile("{{broken}}", template.Options{Mode: mode, Helpers: map[string]template.Helper{
			"broken": {Call: func([]any) (any, error) { return nil, errors.New("helper") }},
		}})
		require.NoError(t, err)
		return tpl
	}
	for name, row := range map[string]struct {
		c    sns.Config
		says string
	}{
		"body":       {sns.Config{Body: failing(template.Text)}, "Body: "},
		"subject":    {sns.Config{Subject: failing(template.Header)}, "Subject: "},
		"group":      {sns.Config{Group: failing(template.Header)}, "Group: "},
		"attribute":  {sns.Config{Attributes: []sns.Attribute{{Name: "why", Value: failing(template.Header)}}}, "Attributes: why: "},
		"empty body": {sns.Config{Body: compile(t, template.Text, "{{nothing}}")}, "Body: what it made is empty"},
	} {
		row.c.Endpoint = target
		_, err := open(t, row.c).Send(t.Context(), sample())
		assert.Equal(t, sns.KindRender, failure(t, err).Kind, name)
		assert.Equal(t, retry.Final, retry.Classify(t.Context(), err).Verdict, name)
		assert.Contains(t, err.Error(), row.says, name)
	}
	_, err := open(t, sns.Config{Endpoint: target}).Send(t.Context(), channel.Delivery{})
	assert.Equal(t, sns.KindNoEvent, failure(t, err).Kind)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = open(t, sns.Config{Endpoint: target}).Send(done, sample())
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, aws.seen())
}
