package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// The tests of this file are the lines of access-request webhooks in the style of Apono that concern what is sent or
// refused.

// refusal is the first problem that New finds, as "field problem".
func refusal(t testing.TB, c webhook.Config) string {
	t.Helper()
	hook, err := webhook.New(c)
	if err == nil {
		require.NoError(t, hook.Close())
		return ""
	}
	var wrong *channel.ConfigError
	require.ErrorAs(t, err, &wrong)
	return wrong.Path + " " + wrong.Problem
}

// aponoLimits are those of package config's limits of that name.
func aponoLimits() netguard.Limits {
	return netguard.Limits{NoExplicitPort: true, Methods: []string{"POST", "PUT", "DELETE"}, MaxHeaders: 10}
}

func TestStyle1MethodsPostPutDelete(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PUT", "DELETE", ""} {
		assert.Empty(t, refusal(t, webhook.Config{URL: "https://hooks.test/x", Method: method, Limits: aponoLimits()}), method)
		target, requests := record(t)
		_, err := newChannel(t, webhook.Config{URL: target, Method: method}).Send(t.Context(), sample())
		require.NoError(t, err)
		got := <-requests
		assert.Contains(t, []string{method, "POST"}, got.method)
		assert.Equal(t, string(sample().Event.JSON()), got.body, "also with %s", got.method)
	}
	for _, method := range []string{"GET", "PATCH", "HEAD", "OPTIONS", "post", "CONNECT", "TRACE", "P T"} {
		assert.Equal(t, "Method is not an allowed method", refusal(t, webhook.Config{URL: "https://hooks.test/x", Method: method, Limits: aponoLimits()}), method)
	}
}

func TestStyle1URLIsHTTPSWithoutPort(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"https://hooks.test/x":            "",
		"http://hooks.test/x":             "URL is not encrypted",
		"https://hooks.test:443/x":        "URL names a port",
		"https://hooks.test:8443/x":       "URL names a port",
		"https://ho_oks..test/x":          "URL has a host",
		"https://-hooks.test/x":           "URL has a host",
		"https://hooks.test.127.1/x":      "URL has a numeric host",
		"https:///x":                      "URL has no host",
		"ftp://hooks.test/x":              "URL ",
		"https://user:pass@hooks.test/x":  "URL has user info",
		"https://hooks.test/x y":          "URL has a space",
		"https://{{tenant}}.hooks.test/x": "URL has a host",
	} {
		got := refusal(t, webhook.Config{URL: url, Limits: aponoLimits()})
		if says == "" {
			assert.Empty(t, got, url)
		} else {
			assert.Contains(t, got, says, url)
		}
	}
}

func TestStyle1AtMostTenHeaders(t *testing.T) {
	t.Parallel()
	c := webhook.Config{URL: "https://hooks.test/x", Limits: aponoLimits()}
	for i := range 11 {
		assert.Empty(t, refusal(t, c), "%d headers", i)
		c.Headers = append(c.Headers, webhook.Header{Name: fmt.Sprintf("X-%d", i), Value: "x"})
	}
	assert.Equal(t, "Headers has 11 headers", refusal(t, c))
}

func TestStyle1NotHandlebarsAndNotJSONAreTwoErrors(t *testing.T) {
	t.Parallel()
	_, err := template.Compile("{\n  \"text\": \"{{#if data}}\"\n}", template.Options{})
	var syntax *template.SyntaxError
	require.ErrorAs(t, err, &syntax)
	assert.Equal(t, 2, syntax.Line)
	assert.Positive(t, syntax.Column)

	_, err = template.Compile("{\n  \"text\": {{data.id}} {{data.id}}\n}", template.Options{})
	var invalid *template.JSONError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, 2, invalid.Line)
	assert.Positive(t, invalid.Column)
}

// Every path of the schema leads somewhere in an event that a receiver gets.
func TestStyle1EveryTemplatePathResolves(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	var source strings.Builder
	for _, path := range []string{
		"event_type", "event_time", "data.id", "data.friendly_id", "data.requester.id", "data.requester.name",
		"data.requester.email", "data.justification", "data.creation_date", "data.revocation_date", "data.access_flow.id",
		"data.access_flow.name", "data.access_bundle.id", "data.access_bundle.name", "data.approvals_logical_relation",
		"data.grantee.id", "data.grantee.source_id", "data.grantee.name", "data.grantee.type", "data.access_duration_in_seconds",
	} {
		fmt.Fprintf(&source, "%s {{%s}}\n", path, path)
	}
	group := func(paths ...string) {
		for _, path := range paths {
			fmt.Fprintf(&source, "%s {{%s}}\n", path, path)
		}
	}
	source.WriteString("{{#each data.access_groups}}")
	group("integration.id", "integration.type", "integration.name")
	source.WriteString("{{#each resource_types}}")
	group("id", "name", "display_path")
	source.WriteString("{{/each}}{{#each access_units}}")
	group("resource.id", "resource.name", "resource.path", "resource.type.id", "resource.type.name", "resource.type.display_path",
		"permission.id", "permission.name")
	source.WriteString("{{/each}}{{/each}}{{#each data.approvals}}")
	group("name", "type", "status", "approver.id", "approver.name", "approver.email")
	source.WriteString("{{/each}}")

	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(compile(t, template.Text, source.String()))})
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace((<-requests).body), "\n")
	assert.Greater(t, len(lines), 50)
	for _, line := range lines {
		path, value, _ := strings.Cut(line, " ")
		assert.NotEmpty(t, value, path)
	}
}

func TestStyle1NestedLoopsRenderEveryName(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	unit := func(name string) event.AccessUnit { return event.AccessUnit{Resource: event.Resource{Name: name}} }
	request := event.RequestPending{AccessRequest: event.AccessRequest{ID: "1", AccessGroups: []event.AccessGroup{
		{Integration: event.Integration{Name: "postgres"}, AccessUnits: []event.AccessUnit{unit("orders"), unit("billing")}},
		{Integration: event.Integration{Name: "aws"}, AccessUnits: []event.AccessUnit{unit("s3")}},
	}}}
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.TemplateBody(compile(t, template.JSON,
		`{"text":"{{#each data.access_groups}}{{integration.name}}:{{#each access_units}} {{resource.name}}{{/each}}; {{/each}}"}`))})
	_, err := hook.Send(t.Context(), delivery(event.Must(request, event.Meta{})))
	require.NoError(t, err)
	assert.Equal(t, `{"text":"postgres: orders billing; aws: s3; "}`, (<-requests).body)
}

func TestStyle1NoApproverWhilePendingAndNoDigitIsLost(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	at := time.Unix(1696263265, 851898001)
	request := event.RequestPending{AccessRequest: event.AccessRequest{
		ID: "1", CreationDate: event.At(at), Approvals: []event.Approval{{Name: "manager", Status: event.ApprovalPending}},
	}}
	_, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), delivery(event.Must(request, event.Meta{Time: at})))
	require.NoError(t, err)
	body := (<-requests).body
	assert.Contains(t, body, `"event_time":1696263265.851898001,`)
	assert.Contains(t, body, `"creation_date":1696263265.851898001,`)
	assert.Contains(t, body, `"approvals":[{"name":"manager","type":"","status":"Pending"}]`)
}

// Each trigger of the product is an event type, and the event that is sent for it carries that type.
func TestStyle1TriggersAreSent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target})
	for _, trigger := range []string{"Created", "Approved", "Rejected", "Granted", "Expired", "Failed"} {
		typ, ok := event.TriggerWords().TypeOf(trigger)
		require.True(t, ok)
		e, ok := event.Sample(typ)
		require.True(t, ok)
		_, err := hook.Send(t.Context(), delivery(e))
		require.NoError(t, err)
		assert.Contains(t, (<-requests).body, `"event_type":"`+string(typ)+`"`)
	}
}

// A test send, before anything is saved, shows the whole request and the whole answer.
func TestStyle1TestShowsRequestAndResponse(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 422: false} {
		target := answerWith(t, status, http.Header{"X-Trace": {"7"}}, `{"message":"seen"}`)
		hook := newChannel(t, webhook.Config{
			URL: target, Method: "PUT", Headers: []webhook.Header{{Name: "X-Team", Value: "pam"}},
			Body: webhook.TemplateBody(compile(t, template.JSON, `{"id":"{{data.id}}"}`)),
		})
		receipt, err := hook.Send(t.Context(), sample())
		assert.Equal(t, ok, err == nil)
		assert.Equal(t, "PUT "+target, receipt.Request.Start)
		assert.Equal(t, "pam", receipt.Request.Header.Get("X-Team"))
		assert.Regexp(t, `^{"id":"[^"]+"}$`, string(receipt.Request.Body))
		assert.True(t, json.Valid(receipt.Request.Body))
		assert.Equal(t, status, receipt.Status)
		assert.Equal(t, "7", receipt.Response.Header.Get("X-Trace"))
		assert.Equal(t, `{"message":"seen"}`, string(receipt.Response.Body))
	}
}
