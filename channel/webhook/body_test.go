package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// delivery gives an event to a route.
func delivery(e event.Event) channel.Delivery {
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
}

// sessionJoined is a session event with custom fields.
func sessionJoined() event.Event {
	return event.Must(event.SessionMemberJoined{Session: event.Session{
		ApplianceID: "appliance-1", LSID: "4f1c", ExternalKey: "CHG & 7", Username: "dana", UserID: "17", DisplayName: "Dana Ö",
		Type: "representative", ConferenceName: "db=1", ConferenceID: "9",
	}}, event.Meta{Attributes: map[string]string{"cost_center": "4711", "event": "forged", "lsid": "forged"}})
}

// bodies are one of each kind, for all of which the same has to hold.
func bodies(t testing.TB) map[string]webhook.Config {
	t.Helper()
	macros, err := template.Compile(`{"subject":"%%Who%% asks","link":"https://pam.example/%%Who%%?x=1","raw":%%Who%%}`, template.Options{
		Syntax: template.Macros, Macros: map[string]string{"Who": "data.requester.name"},
	})
	require.NoError(t, err)
	all := map[string]string{"name": "data.requester.name", "justification": "data.justification"}
	return map[string]webhook.Config{
		"event":       {},
		"template":    {Body: webhook.TemplateBody(compile(t, template.JSON, `{"text":"{{data.justification}}","to":[{"email":"{{data.requester.name}}"}]}`))},
		"macros":      {Body: webhook.TemplateBody(macros)},
		"static":      {Body: webhook.StaticBody([]byte(`{"fixed":true}`))},
		"form":        {Body: webhook.FormBody(webhook.FormOptions{Variables: all, CustomFields: true})},
		"structured":  {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})},
		"binary":      {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true})},
		"func":        {Body: webhook.BodyFunc("", keyed, secret.Literal("ROUT1NG-K3Y"))},
		"other types": {ContentType: "application/vnd.pam.v1+json; charset=UTF-8", Body: webhook.StaticBody([]byte(" [1] "))},
	}
}

// Whatever stands in an event, each body keeps its keys, variables and headers, its recipients and links stay the
// template's, and it is valid UTF-8 (S45, S64).
func TestS45_S64_HostileDataChangesNoStructure(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for name, c := range bodies(t) {
		c.URL = target
		hook := newChannel(t, c)
		send := func(text string) (structure any, got received) {
			request, err := event.Decode[event.RequestApproved](sample().Event)
			require.NoError(t, err)
			request.Justification, request.Requester.Name, request.ID = text, text, "4f1c"
			value := strings.ToValidUTF8(text[:min(len(text), 1024)], "?")
			e := event.Must(request, event.Meta{Attributes: map[string]string{"cost_center": value, "cc2": "x"}})
			_, err = hook.Send(t.Context(), delivery(e))
			require.NoError(t, err, "%s %q", name, text)
			got = <-requests
			require.True(t, utf8.ValidString(got.body), "%s %q", name, text)
			if name == "form" {
				form, err := url.ParseQuery(got.body)
				require.NoError(t, err)
				return fmt.Sprint(sortedNames(form)), got
			}
			decoder := json.NewDecoder(strings.NewReader(got.body))
			var v any
			require.NoError(t, decoder.Decode(&v), "%s %q", name, text)
			require.False(t, decoder.More())
			return shape(v), got
		}
		benign, first := send("benign")
		for _, text := range hostile() {
			if text == "" && (name == "structured" || name == "binary") {
				continue // what is empty is left out of a CloudEvent
			}
			structure, got := send(text)
			require.Equal(t, benign, structure, "%s %q", name, text)
			require.Equal(t, sortedNames(first.header), sortedNames(got.header), "%s %q", name, text)
			if name == "macros" {
				var body struct{ Link string }
				require.NoError(t, json.Unmarshal([]byte(got.body), &body))
				assert.True(t, strings.HasPrefix(body.Link, "https://pam.example/"), body.Link)
			}
		}
	}
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// So it is with alerts, whose body is made of other events.
func TestS45_S64_AlertKeepsItsShape(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.AlertBody()})
	for _, text := range hostile() {
		alert := event.Alert{AlertID: "a-1", AlertTitle: text, Description: text, SourceURL: text, Status: event.AlertStatus(text)}
		_, err := hook.Send(t.Context(), delivery(event.Must(event.AlertOpened{Alert: alert}, event.Meta{})))
		require.NoError(t, err, "%q", text)
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte((<-requests).body), &body), "%q", text)
		assert.Len(t, body, 17, "%q", text)
		assert.Equal(t, "a-1", body["alert_id"])
		for _, name := range []string{"alert_title", "description", "source_url", "status"} {
			assert.Equal(t, strings.ToValidUTF8(text, "\ufffd"), body[name], "%q", text)
		}
	}
}

// JavaScript receivers check the signature of the decoded text, so nothing but UTF-8 is sent, whatever a template says.
// A template that is not UTF-8 does not compile, and events are UTF-8, so only a function can make something else.
func TestS45_NothingButUTF8IsSent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	b := webhook.BodyFunc("text/plain", func(channel.Delivery, []string) ([]byte, error) { return []byte("\xff"), nil })
	receipt, err := newChannel(t, webhook.Config{URL: target, Body: b}).Send(t.Context(), sample())
	unsent(t, webhook.KindRender, requests, receipt, err)
	assert.ErrorContains(t, err, "Body: what it made is not valid UTF-8")
}

// A body over the limit is not sent at all, whatever makes it (S34).
func TestS34_NoBodyIsCut(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for name, c := range bodies(t) {
		c.URL = target
		d := justified(t, "because")
		_, err := newChannel(t, c).Send(t.Context(), d)
		require.NoError(t, err, name)
		size := len((<-requests).body)
		c.MaxBody = size
		_, err = newChannel(t, c).Send(t.Context(), d)
		require.NoError(t, err, name)
		assert.Len(t, (<-requests).body, size)
		c.MaxBody = size - 1
		receipt, err := newChannel(t, c).Send(t.Context(), d)
		unsent(t, webhook.KindTooLarge, requests, receipt, err)
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	text := webhook.TemplateBody(compile(t, template.Text, `{{data.requester.name}} says "{{data.justification}}"`))
	for name, tc := range map[string]struct {
		config     webhook.Config
		sent, body string
	}{
		"of the zero body":    {webhook.Config{}, "application/json", ""},
		"configured":          {webhook.Config{ContentType: "application/vnd.pam+json; charset=utf-8"}, "application/vnd.pam+json; charset=utf-8", ""},
		"of a JSON template":  {webhook.Config{Body: webhook.TemplateBody(compile(t, template.JSON, "1"))}, "application/json", "1"},
		"of plain text":       {webhook.Config{Body: text}, "text/plain; charset=utf-8", "a\"b says \"a\"b\""},
		"plain text, by hand": {webhook.Config{Body: text, ContentType: "text/plain"}, "text/plain", "a\"b says \"a\"b\""},
		"of a form":           {webhook.Config{Body: webhook.FormBody(webhook.FormOptions{Variables: map[string]string{}})}, "application/x-www-form-urlencoded", ""},
		"of static text":      {webhook.Config{Body: webhook.StaticBody([]byte("hello")), ContentType: "text/plain"}, "text/plain", "hello"},
		"structured":          {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x"})}, "application/cloudevents+json; charset=utf-8", ""},
		"binary":              {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x", Binary: true})}, "application/json", ""},
	} {
		tc.config.URL = target
		receipt, err := newChannel(t, tc.config).Send(t.Context(), justified(t, `a"b`))
		require.NoError(t, err, name)
		got := <-requests
		assert.Equal(t, []string{tc.sent}, got.header["Content-Type"], name)
		assert.Equal(t, []string{tc.sent}, receipt.Request.Header["Content-Type"], name)
		if tc.body != "" {
			assert.Equal(t, tc.body, got.body, name)
		}
	}
}

func TestNewRefusesMismatchedContentTypes(t *testing.T) {
	t.Parallel()
	text := webhook.TemplateBody(compile(t, template.Text, "x"))
	for name, tc := range map[string]struct {
		config      webhook.Config
		field, says string
	}{
		"text as JSON":        {webhook.Config{Body: text, ContentType: "application/json"}, "Body", "is a template for plain text with another content type"},
		"text as HTML":        {webhook.Config{Body: text, ContentType: "text/html"}, "Body", "is a template for plain text with another content type"},
		"form as JSON":        {webhook.Config{Body: webhook.FormBody(webhook.FormOptions{}), ContentType: "application/json"}, "ContentType", "is set beside a body that has one of its own"},
		"nameless variable":   {webhook.Config{Body: webhook.FormBody(webhook.FormOptions{Variables: map[string]string{"": "id"}})}, "Body", "is a form with a variable without a name"},
		"static, not JSON":    {webhook.Config{Body: webhook.StaticBody([]byte("{\n  \"é\": x}"))}, "Body", "is not valid JSON from line 2, column 8 on"},
		"static, cut":         {webhook.Config{Body: webhook.StaticBody([]byte(`{"a":`))}, "Body", "is not valid JSON from line 1, column 5 on"},
		"static, empty":       {webhook.Config{Body: webhook.StaticBody(nil)}, "Body", "is not valid JSON from line 1, column 1 on"},
		"static, two":         {webhook.Config{Body: webhook.StaticBody([]byte(`{} {}`)), ContentType: "application/problem+json"}, "Body", "is not valid JSON from line 1, column 4 on"},
		"static, not UTF-8":   {webhook.Config{Body: webhook.StaticBody([]byte("\xff")), ContentType: "text/plain"}, "Body", "is not valid UTF-8"},
		"events as JSON":      {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x"}), ContentType: "application/json"}, "ContentType", "is set beside a body that has one of its own"},
		"events sourceless":   {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{})}, "Body", "is CloudEvents without a source"},
		"bad source":          {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "the PAM"})}, "Body", "is CloudEvents with a source that is not a URI reference"},
		"colliding names":     {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x", Attributes: []string{"cost_center", "Cost-Center"}})}, "Body", "has the name of another one"},
		"taken name":          {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x", Attributes: []string{"data_content_type"}})}, "Body", "has the name of an attribute of CloudEvents themselves"},
		"name without any":    {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x", Attributes: []string{"_.-"}})}, "Body", "has no letter or digit in its name"},
		"header of an event":  {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "x", Binary: true}), Headers: []webhook.Header{{Name: "ce-id", Value: "1"}}}, "Headers[0].Name", "is Ce-Id, which the body sets"},
		"content type header": {webhook.Config{Headers: []webhook.Header{{Name: "Content-Type", Value: "text/plain"}}}, "Headers[0].Name", "is a header that is set by this channel"},
	} {
		tc.config.URL = "https://hooks.test"
		_, err := webhook.New(tc.config)
		var wrong *channel.ConfigError
		require.ErrorAs(t, err, &wrong, name)
		assert.Equal(t, tc.field, wrong.Path, name)
		assert.Contains(t, wrong.Problem, tc.says, name)
		assert.NotEmpty(t, wrong.Remedy, name)
	}
}

// What was given to StaticBody may be reused by who gave it.
func TestStaticBodyIsCopied(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	content := []byte(`{"a": 1}`)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.StaticBody(content)})
	copy(content, "XXXXXXXX")
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, `{"a": 1}`, (<-requests).body)
}

func TestAlertBody(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.AlertBody()})
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		receipt, err := hook.Send(t.Context(), delivery(e))
		if !strings.HasPrefix(string(typ), "alert.") {
			unsent(t, webhook.KindRender, requests, receipt, err)
			assert.ErrorContains(t, err, "Body: the event is not an alert: its data has no alert_id")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, string(e.Data()), (<-requests).body, "each byte as it is, in the same order")
	}
}

// ownAlert is a host's alert with one field more, and one that may be of any type.
type ownAlert struct {
	event.Alert
	Extra  string `json:"extra"`
	Source any    `json:"source_url"`
}

func (ownAlert) EventType() event.Type { return "own.alert" }

func TestAlertBodyOfAHostsEvent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.AlertBody()})
	for value, sent := range map[any]bool{"https://x.example/": true, 7: true, true: true, nil: true, struct{ A int }{1}: false, [1]int{1}: false} {
		receipt, err := hook.Send(t.Context(), delivery(event.Must(ownAlert{Source: value, Extra: "x"}, event.Meta{})))
		if !sent {
			unsent(t, webhook.KindRender, requests, receipt, err)
			assert.ErrorContains(t, err, "its data has no source_url")
			continue
		}
		require.NoError(t, err)
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte((<-requests).body), &body))
		assert.Len(t, body, 17)
	}
}

func TestCloudEventsStructured(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "https://pam.example/eu"})})
	e := sessionJoined()
	e = event.Must(ownAlert{}, event.Meta{
		ID: "e-1", Time: e.Time(), Tenant: "acme", Subject: "a\u00e9<b>", Attributes: map[string]string{"Cost_Center": "4711\x00\"\ufffe", "b": "", "aa.1": "é"},
	})
	_, err := hook.Send(t.Context(), delivery(e))
	require.NoError(t, err)
	got := <-requests
	var document bytes.Buffer
	require.NoError(t, json.Compact(&document, []byte(got.body)))
	assert.Equal(t, document.String(), got.body)
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.body), &body))
	assert.JSONEq(t, string(e.Data()), got.body[strings.Index(got.body, `"data":`)+len(`"data":`):len(got.body)-1])
	delete(body, "data")
	assert.Equal(t, map[string]any{
		"specversion": "1.0", "id": "e-1", "source": "https://pam.example/eu", "type": "own.alert", "subject": "aé<b>",
		"time": e.Time().Format("2006-01-02T15:04:05.999999999Z07:00"), "datacontenttype": "application/json", "tenant": "acme",
		"costcenter": "4711 \" ", "aa1": "é",
	}, body)
}

func TestCloudEventsBinary(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.CloudEvents(webhook.CloudEventsOptions{
		Source: "/pam", Binary: true, Attributes: []string{"cost_center"},
	})})
	e := event.Must(ownAlert{}, event.Meta{
		ID: "e-1", Source: "PAM in: Köln", Subject: "\"€\" 100%", Attributes: map[string]string{"cost_center": "a\r\nX: 1", "other": "x"},
	})
	receipt, err := hook.Send(t.Context(), delivery(e))
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, string(e.Data()), got.body)
	want := http.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Id": {"e-1"}, "Ce-Source": {"PAM%2520in%253A%2520K%25C3%25B6ln"}, "Ce-Type": {"own.alert"},
		"Ce-Subject": {"%22%E2%82%AC%22%20100%25"}, "Ce-Time": {e.Time().Format("2006-01-02T15:04:05.999999999Z07:00")},
		"Ce-Costcenter": {"a%20%20X:%201"},
	}
	for name := range got.header {
		if strings.HasPrefix(name, "Ce-") {
			assert.Equal(t, want[name], got.header[name], name)
			assert.Equal(t, want[name], receipt.Request.Header[name], name)
			delete(want, name)
		}
	}
	assert.Empty(t, want)
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
}

// An event with any attributes is sent: names that are not free for CloudEvents get an x before them.
func TestCloudEventsWithCollidingAttributes(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})})
	_, err := hook.Send(t.Context(), delivery(event.Must(ownAlert{}, event.Meta{Tenant: "acme", Attributes: map[string]string{
		"a_1": "second", "A1": "first", "Tenant": "other", "-_": "no letter", "data": "x", "x": "is free",
	}})))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte((<-requests).body), &got))
	for name, want := range map[string]string{
		"a1": "first", "xa1": "second", "tenant": "acme", "xtenant": "other", "x": "no letter", "xx": "is free", "xdata": "x",
	} {
		assert.Equal(t, want, got[name], name)
	}
}
