package preset

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

var (
	escapedRune = regexp.MustCompile(`\\[^0-9A-Za-z\s]`)
	discordMark = regexp.MustCompile("[\\\\*_~`|<>\\[\\]#]|://|@everyone|@here")
	codeTags    = regexp.MustCompile(`(?i)\[/?code`)
	notifies    = regexp.MustCompile(`(^|[^\pL\pN])@|%%%`)
)

// FuzzEscapes: no text keeps what a product would act on, nor grows beyond its limit.
func FuzzEscapes(f *testing.F) {
	for _, s := range []string{"", `\`, `\\[x](https://evil.example)`, "[[code]code]", "[/CODE]", "@all x@y.example @@", "%%%%%%", "😀*_~`|<>#://@here", "a://///", "@everyone\\"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		s = strings.ToValidUTF8(s, "\ufffd")
		limit = 1 + limit&0xfff
		if m := markdown(s, limit); units(m) > limit || !utf8.ValidString(m) || discordMark.MatchString(escapedRune.ReplaceAllString(m, "x")) {
			t.Errorf("markdown(%q, %d) = %q", s, limit, m)
		}
		if c := withoutCode(s); codeTags.MatchString(c) {
			t.Errorf("withoutCode(%q) = %q", s, c)
		}
		if q := withoutActions(s); notifies.MatchString(q) {
			t.Errorf("withoutActions(%q) = %q", s, q)
		}
		if g := tag("k", s); len(g) > 200 || !utf8.ValidString(g) || strings.ContainsAny(g, ", \n\"") {
			t.Errorf("tag(%q) = %q", s, g)
		}
		if l := lines(s); len(l) > maxLines {
			t.Errorf("lines(%q) has %d lines", s, len(l))
		}
	})
}

// FuzzAnswers: whatever a receiver answers is read without a panic, and a reason is a name or a code.
func FuzzAnswers(f *testing.F) {
	for _, b := range []string{
		"", "null", "[]", `{"code":9}`, `{"errors":[{"field":"from <x>"}]}`, `{"errors":{"a b":"x","c":"y"}}`, `{"retry_after":1e308}`, `{"retry_after":-1}`,
		`{"event":{"id":"x"}}`, `{"event":{"id":1e400}}`, `{"result":{"sys_id":7}}`, `{"dedup_key":"k"}`, `{"key":"PAM-1"}`, "<html>",
	} {
		f.Add(429, []byte(b), "1.5")
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, header string) {
		a := webhook.Response{Status: status, Header: http.Header{"X-Ratelimit-Reset-After": {header}}, Body: body}
		for name, read := range map[string]func(webhook.Response, retry.Verdict) webhook.Reading{
			"sendgrid": readSendGrid, "pagerduty": readPagerDuty, "discord": readDiscord, "jira": readJira, "servicenow": readServiceNow,
			"splunk": readSplunk, "datadog": readDatadog,
		} {
			r := read(a, retry.VerdictTransient)
			if strings.ContainsAny(r.Reason, "<>\"'\n@") || len(r.Reason) > 60 {
				t.Errorf("%s: reason %q", name, r.Reason)
			}
			if r.RetryAfter < 0 || r.RetryAfter > 1e6*time.Second {
				t.Errorf("%s: pause %v", name, r.RetryAfter)
			}
			if r.Verdict == retry.VerdictSuccess {
				t.Errorf("%s: a refusal became a success", name)
			}
		}
	})
}
