package email_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// The subject of a mail about a test says so whatever makes it, and both forms of the default mail do; no other mail
// has the word.
func TestMailAboutATest(t *testing.T) {
	t.Parallel()
	e := sample(event.TypeRequestPending).Event
	for name, tt := range map[string]struct {
		change  func(*email.Config)
		subject string
		marked  bool // the forms
	}{
		"default": {nil, notice.Of(e).Title, true},
		"own subject": {func(c *email.Config) {
			c.Subject = compile(t, "  Request {{data.friendly_id}}", template.Header)
		}, "Request AR-2047", true},
		"own subject with a word for it": {func(c *email.Config) {
			c.Subject = compile(t, "{{#if test}}TEST: {{/if}}Request {{data.friendly_id}}", template.Header)
		}, "Request AR-2047", true},
		"an empty subject": {func(c *email.Config) { c.Subject = compile(t, "{{data.nothing}}", template.Header) }, "request.pending", true},
		"a long subject": {func(c *email.Config) {
			c.Subject = compile(t, strings.Repeat("a", 400), template.Header)
		}, strings.Repeat("a", 254) + "…", true},
		"own text": {func(c *email.Config) { c.Text = compile(t, "{{data.friendly_id}}", template.Text) }, notice.Of(e).Title, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usual := mailOf(t, tt.change, channel.Delivery{Event: e, Route: channel.RouteID{Name: "mail"}})
			test := mailOf(t, tt.change, channel.Delivery{Event: e.ForTest(), Route: channel.RouteID{Name: "mail"}})
			assert.Equal(t, tt.subject, usual.subject)
			assert.True(t, strings.HasPrefix(test.subject, "TEST: "+strings.TrimSuffix(tt.subject, "…")[:15]), test.subject)
			assert.LessOrEqual(t, utf8.RuneCountInString(test.subject), 255)
			assert.Equal(t, 1, strings.Count(test.subject, "TEST"))
			require.Len(t, test.parts, len(usual.parts))
			for i := range test.parts {
				assert.NotContains(t, usual.parts[i].text, "TEST")
				assert.Equal(t, tt.marked, strings.Contains(test.parts[i].text, "TEST"))
			}
			if !tt.marked {
				assert.Equal(t, usual.parts, test.parts)
				return
			}
			_, meaning, _ := strings.Cut(notice.TestLine, ": ")
			assert.Contains(t, test.parts[0].text, notice.TestLine)
			assert.Contains(t, test.parts[1].text, meaning)
			assert.Empty(t, test.header.Get("References"), "a test joins no thread")
			assert.NotEmpty(t, usual.header.Get("References"))
		})
	}
}
