package webhook_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
