package webhook_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// No value leaves its segment or its parameter (S20), also beside text that has to be encoded itself.
func TestS20_PathTemplateKeepsValuesInTheirPlace(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{
		URL:  target + "/",
		Path: compile(t, template.URL, `/v1/{{data.justification}}/é"/x-{{data.requester.name}}?about={{data.justification}}&fixed=é"1`),
	})
	for _, text := range hostile() {
		d := justified(t, text)
		receipt, err := hook.Send(t.Context(), d)
		require.NoError(t, err, "%q", text)
		switch {
		case text == "." || text == "..":
			text = "-" // the segment is no other one
		case len(text) > 1000:
			text = text[:1023] + "…"
		}
		got := <-requests
		assert.Equal(t, strings.TrimPrefix(target, "http://"), got.host)
		assert.NotRegexp(t, `[^!-~]|["#\\]`, got.uri)
		path, query, _ := strings.Cut(got.uri, "?")
		segments := strings.Split(path, "/")
		require.Len(t, segments, 5, "%q: %s", text, got.uri)
		for i, want := range []string{"", "v1", text, `é"`, "x-" + text} {
			segment, err := url.PathUnescape(segments[i])
			require.NoError(t, err)
			assert.Equal(t, want, segment)
		}
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		assert.Equal(t, url.Values{"about": {text}, "fixed": {`é"1`}}, values)
		assert.Equal(t, "POST "+target, receipt.Request.Start, "the path is a secret")
		assert.Equal(t, string(d.Event.JSON()), got.body)
	}
}

func TestS20_PathTemplateThatDoesNotFit(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for name, tc := range map[string]struct{ source, text, says string }{
		"second slash":           {"//evil.example/{{data.justification}}", "T0P-S3CRET", "Path: what it made does not begin with exactly one slash"},
		"fragment in a branch":   {"/{{#if data.justification}}#{{/if}}", "T0P-S3CRET", "Path: what it made has a fragment"},
		"line feed in a branch":  {"/{{#if data.justification}}a\nb{{/if}}", "T0P-S3CRET", "Path: what it made has a control or invisible character"},
		"bad escape in a branch": {"/{{#if data.justification}}%zz{{/if}}", "T0P-S3CRET", "Path: what it made has a percent sign that is not followed"},
		"dots behind nothing":    {"/{{nothing}}/{{data.justification}}", "..", "Path: render: template 1:"},
	} {
		hook := newChannel(t, webhook.Config{URL: target, Path: compile(t, template.URL, tc.source)})
		receipt, err := hook.Send(t.Context(), justified(t, tc.text))
		require.ErrorContains(t, err, "the request cannot be made from the event: "+tc.says, name)
		unsent(t, webhook.KindRender, requests, receipt, err)
	}
}

// No text of an event keeps a path from being made, and none changes which segments it has.
func TestS20_PathTemplateAndValuesThatAreNoSegments(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for source, values := range map[string]map[string]string{
		"/{{data.justification}}/x":                            {"": "/-/x", ".": "/-/x", "..": "/-/x", "a": "/a/x"},
		"/{{tenant}}/{{source}}/x":                             {"": "/-/-/x"},
		"/a/{{data.justification}}/b?q={{data.justification}}": {"..": "/a/-/b?q=-", "": "/a//b?q="},
		"/{{data.justification}}{{data.requester.name}}":       {".": "/--", "": "/"},
		"/%2e{{data.justification}}":                           {".": "/%2e-"},
		"/{{data.justification}}":                              {strings.Repeat("x", 9000): "/" + strings.Repeat("x", 4095) + "%E2%80%A6"},
	} {
		hook := newChannel(t, webhook.Config{URL: target, Path: compile(t, template.URL, source)})
		for text, want := range values {
			_, err := hook.Send(t.Context(), justified(t, text))
			require.NoError(t, err, "%s with %.20q", source, text)
			assert.Equal(t, want, (<-requests).uri, "%s with %.20q", source, text)
		}
	}
}

// What has no place in a URL is encoded before it is sent, and what is encoded stays so.
func TestS20_URLIsEncoded(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for given, want := range map[string]string{
		`/é/a%2F..%2Fb?q=é"<>|&r=%C3%A9`: "/%C3%A9/a%2F..%2Fb?q=%C3%A9%22%3C%3E%7C&r=%C3%A9",
		`/{a}/^%41`:                      "/%7Ba%7D/%5E%41",
		"/a;b=(c)!*'[1]?x[]=1+2":         "/a;b=(c)!*'[1]?x[]=1+2",
	} {
		_, err := newChannel(t, webhook.Config{URL: target + given}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Equal(t, want, (<-requests).uri)
	}
}

func TestS50_S51_WhatTemplatesMakeIsHidden(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.RequestURI+" "+r.Header.Get("Cookie"))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, r.URL.Path+"|"+r.URL.RawQuery+"|"+r.URL.Query().Get("q")+"|"+r.Header.Get("Cookie")+"|"+
			r.Header.Get("Authorization")+"|"+r.Header.Get("X-Shown"))
	})
	hook := newChannel(t, webhook.Config{
		URL:  target,
		Path: compile(t, template.URL, "/hooks/T0P-S3CRET/{{data.justification}}?q={{data.justification}}-q"),
		Headers: []webhook.Header{
			{Name: "Cookie", Template: compile(t, template.Header, "key={{data.justification}}")},
			{Name: "Authorization", Template: compile(t, template.Header, "Key {{data.justification}}")},
			{Name: "X-Shown", Template: compile(t, template.Header, "<{{data.justification}}>")},
		},
	})
	for _, text := range []string{"first reason", "second reason"} {
		receipt, err := hook.Send(t.Context(), justified(t, text))
		assert.Equal(t, webhook.KindStatus, failure(t, err).Kind)
		assert.Equal(t, strings.Repeat(secret.Redacted+"|", 5)+"<"+secret.Redacted+">", string(receipt.Response.Body))
		assert.Equal(t, secret.Redacted+" "+secret.Redacted, receipt.Response.Header.Get("X-Echo"))
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Cookie"))
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"))
		assert.Equal(t, "<"+text+">", receipt.Request.Header.Get("X-Shown"))
		assert.Equal(t, "POST "+target, receipt.Request.Start)
	}
}
