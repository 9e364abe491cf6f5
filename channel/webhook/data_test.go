package webhook_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// anyText returns a text of what means something to JSON, HTTP, URLs, forms or templates, at times a long one.
func anyText(random *rand.Rand) string {
	pieces := append(hostile(), "Tomás", "Łukasz", "日本語", "\U0001F511", "%", "=", "\t", " ", ".", "{{", "\x7f", "\ufeff", "\uffff")
	var b strings.Builder
	for range random.IntN(4) {
		b.WriteString(strings.Repeat(pieces[random.IntN(len(pieces))], 1+random.IntN(2)*random.IntN(40)))
	}
	return b.String()
}

// Whatever is in an event, it is delivered, by whatever is made of it: nothing ends for what somebody has written.
func TestNoEventDataKeepsARequestFromBeingMade(t *testing.T) {
	t.Parallel()
	target := serve(t, func(http.ResponseWriter, *http.Request) {})
	mode := func(m template.Mode, source string) *template.Template { return compile(t, m, source) }
	macros, err := template.Compile(`{"a":"%%Who%% and %%Why%%"}`, template.Options{
		Syntax: template.Macros, Macros: map[string]string{"Who": "data.requester.name", "Why": "data.justification"},
	})
	require.NoError(t, err)
	steps, err := template.Compile(strings.Repeat("{{#if (upper data.justification)}}{{/if}}", 100)+`"{{data.requester.name}}"`,
		template.Options{Limits: template.Limits{Steps: 2000}})
	require.NoError(t, err)
	hooks := map[string]*webhook.Channel{}
	for name, c := range map[string]webhook.Config{
		"JSON":             {Body: webhook.TemplateBody(mode(template.JSON, `{"a":"{{data.justification}} {{data.requester.name}}","b":{{json data}},"c":"{{tenant}}" }`))},
		"small JSON":       {Body: webhook.TemplateBody(mode(template.JSON, `{"a":"{{data.justification}}","b":"{{data.requester.name}}"}`)), MaxBody: 1 << 10},
		"many steps":       {Body: webhook.TemplateBody(steps), MaxBody: 1 << 10},
		"macros":           {Body: webhook.TemplateBody(macros)},
		"text":             {Body: webhook.TemplateBody(mode(template.Text, `{{data.justification}}: {{subject}}`))},
		"form":             {Body: webhook.FormBody(webhook.FormOptions{CustomFields: true, Variables: map[string]string{"why": "data.justification", "who": "data.requester.name"}})},
		"structured":       {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})},
		"binary":           {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true})},
		"small event":      {MaxBody: 6 << 10},
		"small structured": {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"}), MaxBody: 6 << 10},
		"small binary":     {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true}), MaxBody: 6 << 10},
		"path":             {Path: mode(template.URL, "/{{data.justification}}/{{data.requester.name}}?q={{data.justification}}&t={{tenant}}")},
		"tenant":           {Path: mode(template.URL, "/{{tenant}}/{{subject}}/{{data.justification}}")},
		"headers": {Headers: []webhook.Header{
			{Name: "X-Why", Template: mode(template.Header, "{{data.justification}} by {{data.requester.name}}")},
			{Name: "Cookie", Template: mode(template.Header, "who={{data.requester.name}}")},
		}},
	} {
		c.URL = target
		hooks[name] = newChannel(t, c)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 80 {
		request, err := event.Decode[event.RequestApproved](sample().Event)
		require.NoError(t, err)
		request.Justification, request.Requester.Name = anyText(random), anyText(random)
		attributes := map[string]string{"note": anyText(random), "id": "x", "N-ote": "y"}
		if len(attributes["note"]) > 200 {
			delete(attributes, "note")
		}
		if random.IntN(4) == 0 {
			request.Justification += strings.Repeat("\x01", 40<<10)
		}
		e, err := event.New(request, event.Meta{Attributes: attributes})
		require.NoError(t, err)
		for name, hook := range hooks {
			_, err := hook.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
			require.NoError(t, err, "%s of %.60q and %.60q", name, request.Justification, request.Requester.Name)
		}
	}
}

// Who gets a test sees that it is one, and no attribute says so of an event that is none.
func TestFormsAndCloudEventsSayTest(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	e, err := event.New(event.GrantActive{}, event.Meta{Attributes: map[string]string{"test": "true"}})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		body webhook.Body
		says func(r received) bool
	}{
		"form": {webhook.FormBody(webhook.FormOptions{CustomFields: true}), func(r received) bool {
			form, err := url.ParseQuery(r.body)
			require.NoError(t, err)
			return form.Get("test") == "true"
		}},
		"structured": {webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"}), func(r received) bool {
			return strings.Contains(r.body, `"test":"true"`)
		}},
		"binary": {webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true}), func(r received) bool {
			return r.header.Get("Ce-Test") == "true"
		}},
	} {
		hook := newChannel(t, webhook.Config{URL: target, Body: tc.body})
		for test, sent := range map[bool]event.Event{true: e.ForTest(), false: e} {
			_, err := hook.Send(t.Context(), channel.Delivery{Event: sent, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
			require.NoError(t, err)
			require.Equal(t, test, tc.says(<-requests), "%s of a test: %t", name, test)
		}
	}
}

// Whatever makes the body, each request of a test says that it is one, and so does its receipt.
func TestEveryRequestOfATestSaysSo(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	static := webhook.StaticBody([]byte(`{"ticket":1}`))
	for name, body := range map[string]webhook.Body{
		"event":    {},
		"template": webhook.TemplateBody(compile(t, template.JSON, `{"why":"{{data.justification}}"}`)),
		"text":     webhook.TemplateBody(compile(t, template.Text, "{{data.justification}}")),
		"static":   static,
		"form":     webhook.FormBody(webhook.FormOptions{}),
		"func":     webhook.BodyFunc("", func(channel.Delivery, []string) ([]byte, error) { return []byte("{}"), nil }),
	} {
		hook := newChannel(t, webhook.Config{URL: target, Body: body})
		d := sample()
		receipt, err := hook.Send(t.Context(), d)
		require.NoError(t, err)
		usual := <-requests
		require.NotContains(t, usual.header, "Tocsin-Test", name)
		require.NotContains(t, receipt.Request.Header, "Tocsin-Test", name)

		d.Event = d.Event.ForTest()
		receipt, err = hook.Send(t.Context(), d)
		require.NoError(t, err)
		test := <-requests
		require.Equal(t, []string{"true"}, test.header["Tocsin-Test"], name)
		require.Equal(t, []string{"true"}, receipt.Request.Header["Tocsin-Test"], name)
		if name == "template" || name == "text" || name == "static" {
			require.Equal(t, usual.body, test.body, name)
		}

		_, err = hook.SendWith(t.Context(), d, static)
		require.NoError(t, err)
		require.Equal(t, []string{"true"}, (<-requests).header["Tocsin-Test"], name)
	}
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(compile(t, template.JSON, `"{{#if test}}TEST {{/if}}{{data.friendly_id}}"`))})
	d := sample()
	for _, want := range []string{`"AR-2047"`, `"TEST AR-2047"`} {
		_, err := hook.Send(t.Context(), d)
		require.NoError(t, err)
		require.Equal(t, want, (<-requests).body)
		d.Event = d.Event.ForTest()
	}
}

// A flat alert has no field for it, and is tracked by its id.
func TestAlertsOfATest(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.AlertBody()})
	alert := func(e event.Event) map[string]any {
		_, err := hook.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
		require.NoError(t, err)
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte((<-requests).body), &body))
		return body
	}
	for title, want := range map[string]string{
		`"a \"<b>\""`: `TEST: a "<b>"`, `"TEST: a"`: "TEST: a", "7": "TEST: 7", "true": "TEST: true", "null": "TEST: ", `""`: "TEST: ",
	} {
		sampled, _ := event.Sample(event.TypeAlertResolved)
		form := strings.Replace(string(sampled.JSON()), `"Administrator role given outside a change window"`, title, 1)
		e, err := event.Parse([]byte(form))
		require.NoError(t, err)
		test := e.ForTest()
		usual, tried := alert(e), alert(test)
		require.Len(t, tried, 17)
		require.Equal(t, "alert-66210", usual["alert_id"])
		require.Equal(t, test.ID(), tried["alert_id"])
		require.Equal(t, want, tried["alert_title"])
		for _, own := range []string{"alert_id", "alert_title"} {
			delete(usual, own)
			delete(tried, own)
		}
		require.Equal(t, usual, tried)
	}
}
