package preset_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
	"github.com/tocsin-go/tocsin/retry"
)

// foreignAnswers are what whoever stands before a product answers with a status of success.
func foreignAnswers() []string {
	return []string{
		"<html><body>Please sign in</body></html>", "<!DOCTYPE html>", "OK", "Webhook message delivery failed with error: 429", "\ufeff<html>",
		"{", `{"code":0`, `{"code":`, "\x1f\x8b\x08\x00",
	}
}

// otherJSON is JSON that is no response of the products that have a form of their own.
func otherJSON() []string {
	return []string{
		"null", "true", "[]", "{}", `"success"`, "0", `{"ok":true}`, `{"code":"0"}`, `{"code":"7"}`, `{"code":null}`, `{"code":[0]}`,
		`{"status":"failure"}`, `{"status":0}`, `{"id":""}`, `{"key":7}`, `{"result":{}}`, `{"result":[{"sys_id":"x"}]}`, `{"event":7}`, `{"event":{}}`,
	}
}

// TestOnlyTheProductsAnswerIsASuccess: every preset with every response, under each of its statuses of success.
func TestOnlyTheProductsAnswerIsASuccess(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		c := p.config()
		read := func(status int, body string, truncated bool) webhook.Reading {
			header := http.Header{}
			for name, value := range p.taken.header {
				header.Set(name, value)
			}
			return c.Interpret(webhook.Response{Status: status, Header: header, Body: []byte(body), Truncated: truncated}, retry.VerdictSuccess)
		}
		require.NotEmpty(t, c.Success)
		for _, status := range c.Success {
			foreign := foreignAnswers()
			if p.name != "teams" { // a workflow may answer any JSON
				foreign = append(foreign, otherJSON()...)
			}
			for _, body := range foreign {
				r := read(status, body, false)
				assert.NotEqual(t, retry.VerdictSuccess, r.Verdict, "%d %q", status, body)
				assert.True(t, r.OutcomeUnknown || strings.HasPrefix(r.Reason, "code "), "%d %q: the product may have it", status, body)
			}
			assert.Equal(t, retry.VerdictSuccess, read(status, p.taken.body, false).Verdict, "%d", status)
			if p.taken.body != "" {
				assert.Equal(t, retry.VerdictSuccess, read(status, "\ufeff"+p.taken.body, false).Verdict, "a gateway's byte order mark")
			}
			empty := read(status, "", false).Verdict == retry.VerdictSuccess
			want := map[string]bool{"teams": true, "sendgrid": true, "jira": true, "servicenow": true}[p.name]
			assert.Equal(t, want, empty, "%d without a body", status)
			// What creates something anew with each request is not asked again because of a cut answer.
			cut := read(status, `{"id":"100`, true).Verdict == retry.VerdictSuccess
			assert.Equal(t, p.name == "jira" || p.name == "servicenow", cut, "%d with a cut body", status)
		}
	})
}

func TestDiscordWaits(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]struct {
		url     string
		success []int
	}{
		"https://discord.com/api/webhooks/1/t":                       {"https://discord.com/api/webhooks/1/t?wait=true", []int{200}},
		"https://discord.com/api/webhooks/1/t?thread_id=7":           {"https://discord.com/api/webhooks/1/t?thread_id=7&wait=true", []int{200}},
		"https://discord.com/api/webhooks/1/t?wait=true":             {"https://discord.com/api/webhooks/1/t?wait=true", []int{200}},
		"https://discord.com/api/webhooks/1/t?wait=false":            {"https://discord.com/api/webhooks/1/t?wait=false", []int{204}},
		"https://discord.com/api/webhooks/1/t?thread_name=no-wait=1": {"https://discord.com/api/webhooks/1/t?thread_name=no-wait=1&wait=true", []int{200}},
		"https://discord.com/api/webhooks/1/t#x":                     {"https://discord.com/api/webhooks/1/t?wait=true#x", []int{200}},
	} {
		c := preset.Discord(given)
		assert.Equal(t, want.url, c.URL)
		assert.Equal(t, want.success, c.Success, given)
	}
}

// TestAddressesAreJoined: an address that people copy from a browser, or that a gateway needs, keeps the API's path.
func TestAddressesAreJoined(t *testing.T) {
	t.Parallel()
	for _, p := range products() {
		var build func(address string) webhook.Config
		var path string
		switch p.name {
		case "jira":
			build = func(s string) webhook.Config { return preset.Jira(s, webhook.Auth{}, "PAM", "Task") }
			path = "/rest/api/3/issue"
		case "servicenow":
			build = func(s string) webhook.Config { return preset.ServiceNow(s, webhook.Auth{}) }
			path = "/api/now/table/incident"
		case "splunk":
			build = func(s string) webhook.Config { return preset.Splunk(s, secret.Literal(splunkToken)) }
			path = "/services/collector/event"
		default:
			continue
		}
		_, own, _ := strings.Cut(p.path, "?")
		query := func(given string) string {
			if all := strings.Trim(given+"&"+own, "&"); all != "" {
				return "?" + all
			}
			return ""
		}
		for given, want := range map[string]string{
			"https://a.example":                    "https://a.example" + path + query(""),
			"https://a.example/":                   "https://a.example" + path + query(""),
			"https://a.example/gateway//":          "https://a.example/gateway" + path + query(""),
			"https://a.example?key=1":              "https://a.example" + path + query("key=1"),
			"https://a.example/?key=1&b=%2F":       "https://a.example" + path + query("key=1&b=%2F"),
			"https://a.example?":                   "https://a.example" + path + query(""),
			"https://a.example" + path:             "https://a.example" + path + query(""),
			"https://a.example" + path + "/?key=1": "https://a.example" + path + query("key=1"),
			"https://a.example/{mask}?key={mask}":  "https://a.example/{mask}" + path + query("key={mask}"),
		} {
			assert.Equal(t, want, build(given).URL, given)
		}
		_, err := webhook.New(build("https://a.example/#top"))
		require.ErrorAs(t, err, new(*channel.ConfigError), fmt.Sprint(p.name, ": a fragment is never sent"))
	}
}
