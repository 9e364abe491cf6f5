package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Somebody who may edit and test a channel, but not read its secrets, writes a list of guesses into it: the one that is
// hidden would be the secret.
func TestWhatTheConfigurationSaysOpenlyIsShownAsItIs(t *testing.T) {
	t.Parallel()
	const key = "K3Y-V4LUE-17"
	var guesses []string
	for i := range 60 {
		guesses = append(guesses, fmt.Sprintf("K3Y-V4LUE-%02d", i))
	}
	list := strings.Join(guesses, " ")
	target, requests := record(t)
	for name, c := range map[string]webhook.Config{
		"static body":    {Body: webhook.StaticBody([]byte(`"` + list + `"`))},
		"template body":  {Body: webhook.TemplateBody(compile(t, template.JSON, `"`+list+`{{id}}"`))},
		"made of pieces": {Body: webhook.TemplateBody(compile(t, template.JSON, `"K3Y-V4LUE{{#if id}}-17{{/if}} {{lower "K3Y"}} `+list+`"`))},
		"header":         {Headers: []webhook.Header{{Name: "X-Guess", Value: list}}},
		"header by name": {Headers: []webhook.Header{{Name: "X-Guess", Template: compile(t, template.Header, list+" {{id}}")}}},
		"CloudEvents":    {Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/" + strings.ReplaceAll(list, " ", "/")})},
		"URL":            {URL: target + "/{m}/" + strings.ReplaceAll(list, " ", "/"), Masks: []secret.Mask{{Replacement: "{m}", Value: secret.Literal("M4SK-V4LUE")}}},
	} {
		if c.URL == "" {
			c.URL = target
		}
		c.Auth = webhook.Scheme("Bearer", secret.Literal(key))
		receipt, err := newChannel(t, c).Send(t.Context(), sample())
		require.NoError(t, err, name)
		<-requests
		said := receipt.Request.Start + fmt.Sprint(receipt.Request.Header) + string(receipt.Request.Body)
		for _, guess := range guesses {
			assert.Contains(t, said, guess, name)
		}
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"), name)
	}
}

// What is not sent is what an administrator needs to see most.
func TestARequestThatWasNotSentIsShown(t *testing.T) {
	t.Parallel()
	body := webhook.TemplateBody(compile(t, template.JSON, `{"why":"{{data.justification}}"}`))
	for name, c := range map[string]webhook.Config{
		"blocked":    {URL: "http://169.254.169.254/", Body: body},
		"nobody":     {URL: "http://127.0.0.1:1", Body: body},
		"bad path":   {URL: "http://127.0.0.1:1", Body: body, Path: compile(t, template.URL, "/{{#if id}}#{{/if}}")},
		"credential": {URL: "http://127.0.0.1:1/{m}", Body: body, Masks: []secret.Mask{{Replacement: "{m}", Value: secret.Env("TOCSIN_TEST_ABSENT")}}},
		"no body":    {URL: "http://127.0.0.1:1", Body: webhook.TemplateBody(compile(t, template.JSON, `{{#if id}}[{{/if}}"{{id}}"`))},
	} {
		c.Headers = []webhook.Header{{Name: "X-Team", Value: "pam"}, {Name: "X-Key", Secret: secret.Literal("K3Y-V4LUE-1")}}
		receipt, err := newChannel(t, c).Send(t.Context(), justified(t, "because"))
		require.Error(t, err, name)
		require.NotNil(t, receipt.Request, name)
		assert.True(t, strings.HasPrefix(receipt.Request.Start, "POST http://1"), name)
		assert.Equal(t, "pam", receipt.Request.Header.Get("X-Team"), name)
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("X-Key"), name)
		assert.NotEmpty(t, receipt.Request.Header.Get("Webhook-Id"), name)
		if name != "credential" && name != "no body" {
			assert.JSONEq(t, `{"why":"because"}`, string(receipt.Request.Body), name)
		}
	}
}

// The total limit is one of all that an attempt does.
func TestS29_TheTotalLimitCoversWhatTemplatesMake(t *testing.T) {
	t.Parallel()
	busy, err := template.Compile(`"{{#each data.access_groups}}{{#each @root.data.access_groups}}{{#each @root.data.access_groups}}{{upper @root.data.justification}}{{/each}}{{/each}}{{/each}}"`,
		template.Options{Limits: template.Limits{Output: 1 << 30}})
	require.NoError(t, err)
	request, err := event.Decode[event.RequestApproved](sample().Event)
	require.NoError(t, err)
	request.Justification = strings.Repeat("x", 2<<10)
	for range 90 {
		request.AccessGroups = append(request.AccessGroups, event.AccessGroup{})
	}
	d := delivery(event.Must(request, event.Meta{}))
	hook := newChannel(t, webhook.Config{URL: "http://127.0.0.1:1", Body: webhook.TemplateBody(busy), Timeouts: netguard.Timeouts{Total: short}})
	began := time.Now()
	_, err = hook.Send(t.Context(), d)
	assert.Less(t, time.Since(began), 2*time.Second)
	assert.Equal(t, webhook.KindRenderTimeout, failure(t, err).Kind)
}

// A receiver that switches on its own words gets them wherever a template or form says the type.
func TestReceiversHaveTheirOwnWordsForTypes(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	macros, err := template.Compile(`{"type":"%%EventType%%"}`, template.Options{Syntax: template.Macros, Macros: template.ApplicationMacros()})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		config webhook.Config
		want   string
	}{
		"template":   {webhook.Config{Body: webhook.TemplateBody(compile(t, template.JSON, `{"type":"{{event_type}}"}`))}, `{"type":"AccessRequestApproved"}`},
		"macros":     {webhook.Config{Body: webhook.TemplateBody(macros)}, `{"type":"AccessRequestApproved"}`},
		"form":       {webhook.Config{Body: webhook.FormBody(webhook.FormOptions{Variables: map[string]string{"type": "event_type"}})}, "event=AccessRequestApproved"},
		"event":      {webhook.Config{}, `"event_type":"request.approved"`},
		"CloudEvent": {webhook.Config{Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})}, `"type":"request.approved"`},
	} {
		tc.config.URL, tc.config.Words = target, event.AccessRequestWords()
		_, err := newChannel(t, tc.config).Send(t.Context(), sample())
		require.NoError(t, err, name)
		assert.Contains(t, (<-requests).body, tc.want, name)
	}
	assert.Equal(t, "request.approved", sample().Event.Decoded()["event_type"], "shared by all channels, and not modified")
	c := webhook.Config{URL: "https://hooks.test", Words: event.Vocabulary{event.TypeRequestApproved: "Yes", event.TypeRequestDenied: "Yes"}}
	assert.Contains(t, refusal(t, c), "Words cannot translate both ways")
}
