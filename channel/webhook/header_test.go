package webhook_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// A templated value obeys the rules of a fixed one (S24): one line of printable ASCII, or nothing is sent.
func TestS24_HeaderTemplate(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Headers: []webhook.Header{
		{Name: "x-team", Value: "pam"},
		{Name: "x-why", Template: compile(t, template.Header, " {{data.justification}}\r\n")},
	}})
	texts := append(hostile(), strings.Repeat("x", 8<<10), strings.Repeat("x", 8<<10+1), "tab\there")
	for _, text := range texts {
		receipt, err := hook.Send(t.Context(), justified(t, text))
		// Line breaks and other controls become blanks in the template, those around the value are removed here.
		want := strings.Trim(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\u2028' {
				return ' '
			}
			return r
		}, text), " ")
		if len(want) > 8<<10 {
			want = text[:4095] + "…"
		}
		if strings.ContainsFunc(want, func(r rune) bool { return r > '~' }) {
			plain := want
			want = strings.ReplaceAll(url.PathEscape(plain), "%20", " ") // PathEscape leaves less as it is
			for _, c := range `!"#'()*,/;<>?@[\]^` + "`{|}" {
				want = strings.ReplaceAll(want, url.PathEscape(string(c)), string(c))
			}
			decoded, err := url.PathUnescape(want)
			require.NoError(t, err)
			assert.Equal(t, plain, decoded)
		}
		require.NoError(t, err, "%q", text)
		got := <-requests
		assert.Equal(t, []string{want}, got.header["X-Why"])
		assert.Equal(t, []string{"pam"}, got.header["X-Team"])
		assert.Len(t, got.header, 7, "nothing was injected: %v", got.header)
		assert.Equal(t, []string{want}, receipt.Request.Header["X-Why"])
	}
}

func TestHeaderTemplateReplacesTheUserAgent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Headers: []webhook.Header{
		{Name: "user-agent", Template: compile(t, template.Header, "pam/{{event_type}}")},
	}})
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, []string{"pam/request.approved"}, (<-requests).header["User-Agent"])
}

func TestS51_HeaderSensitivityCannotBeTakenBack(t *testing.T) {
	t.Parallel()
	key := secret.Literal("Pl4nted-V4lue")
	stored := []webhook.Header{{Name: "X-Team", Value: "blue"}, {Name: "X-Api-Key", Secret: key}}
	for name, c := range map[string]struct {
		next  []webhook.Header
		moved bool
		want  []webhook.Header
		err   string
	}{
		"as shown and sent back":     {next: []webhook.Header{{Name: "X-Team", Value: "blue"}, {Name: "X-Api-Key", Secret: secret.Kept()}}, want: stored},
		"name in other case":         {next: []webhook.Header{{Name: "x-api-key", Secret: secret.Kept()}}, want: []webhook.Header{{Name: "x-api-key", Secret: key}}},
		"removed":                    {next: []webhook.Header{{Name: "X-Team", Value: "red"}}, want: []webhook.Header{{Name: "X-Team", Value: "red"}}},
		"marked later":               {next: []webhook.Header{{Name: "X-Team", Secret: key}}, want: []webhook.Header{{Name: "X-Team", Secret: key}}},
		"unmarked":                   {next: []webhook.Header{{Name: "X-Api-Key"}}, err: "cannot be undone"},
		"unmarked with a value":      {next: []webhook.Header{{Name: "x-API-key", Value: "new"}}, err: "cannot be undone"},
		"kept where none was":        {next: []webhook.Header{{Name: "X-Other", Secret: secret.Kept()}}, err: "no stored value"},
		"kept where it was readable": {next: []webhook.Header{{Name: "X-Team", Secret: secret.Kept()}}, err: "no stored value"},
		"kept for another server":    {next: []webhook.Header{{Name: "X-Api-Key", Secret: secret.Kept()}}, moved: true, err: "destination has changed"},
		"new value, another server":  {next: []webhook.Header{{Name: "X-Api-Key", Secret: key}}, moved: true, want: []webhook.Header{{Name: "X-Api-Key", Secret: key}}},
	} {
		got, err := webhook.UpdateHeaders(stored, c.next, !c.moved)
		if c.err != "" {
			var e *channel.ConfigError
			require.ErrorAs(t, err, &e, name)
			assert.ErrorContains(t, err, c.err, name)
			assert.Nil(t, got, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
}
