package webhook_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

func TestSendWithAnotherBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]webhook.Config{
		"default":    {},
		"a body":     {Body: webhook.StaticBody([]byte(`{}`))},
		"a template": {Headers: []webhook.Header{{Name: "X-Event", Template: compile(t, template.Header, "{{id}}")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, requests := record(t)
			c.URL = target
			hook := newChannel(t, c)
			d := sample()
			receipt, err := hook.SendWith(t.Context(), d, webhook.TemplateBody(compile(t, template.JSON, `{"about":"{{subject}}"}`)))
			require.NoError(t, err)
			got := <-requests
			assert.JSONEq(t, `{"about":"`+d.Event.Subject()+`"}`, got.body)
			assert.Equal(t, d.ID(), got.header.Get("Webhook-Id"))
			assert.Equal(t, got.body, string(receipt.Request.Body))
			if name == "a template" {
				assert.Equal(t, d.Event.ID(), got.header.Get("X-Event"))
			}
		})
	}
}

// The headers that belong to a body go with it.
func TestSendWithCloudEvents(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	binary := webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true})
	_, err := newChannel(t, webhook.Config{URL: target}).SendWith(t.Context(), sample(), binary)
	require.NoError(t, err)
	assert.Equal(t, sample().Event.ID(), (<-requests).header.Get("Ce-Id"))
}

func TestSendWithNoEvent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target})
	receipt, err := hook.SendWith(t.Context(), channel.Delivery{}, webhook.StaticBody([]byte(`{}`)))
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, `{}`, got.body)
	for _, header := range []http.Header{got.header, receipt.Request.Header} {
		assert.NotContains(t, header, "Webhook-Id")
	}
}

func TestSendWithRefuses(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	static := webhook.StaticBody([]byte(`{}`))
	withTemplate := webhook.Config{URL: target, Headers: []webhook.Header{{Name: "X-Event", Template: compile(t, template.Header, "{{id}}")}}}
	of := func(channel.Delivery, []string) ([]byte, error) { return []byte(`{}`), nil }
	for name, tc := range map[string]struct {
		config   webhook.Config
		delivery channel.Delivery
		body     webhook.Body
		kind     webhook.Kind
	}{
		"no event and the event as body":   {webhook.Config{URL: target}, channel.Delivery{}, webhook.Body{}, webhook.KindNoEvent},
		"no event and a header made of it": {withTemplate, channel.Delivery{}, static, webhook.KindNoEvent},
		"a nil template":                   {webhook.Config{URL: target}, sample(), webhook.TemplateBody(nil), webhook.KindRender},
		"a nil function":                   {webhook.Config{URL: target}, sample(), webhook.BodyFunc("", nil), webhook.KindRender},
		"text as JSON":                     {webhook.Config{URL: target}, sample(), webhook.TemplateBody(compile(t, template.Text, "x")), webhook.KindRender},
		"no event and a signature":         {webhook.Config{URL: target, Sign: webhook.Sign(signature.Slack, webhook.SigningKey{Secret: secret.Literal("0123456789abcdef")})}, channel.Delivery{}, static, webhook.KindNoEvent},
		"a body with secrets":              {webhook.Config{URL: target}, sample(), webhook.BodyFunc("", of, secret.Literal("S3CRET-V4LUE")), webhook.KindRender},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newChannel(t, tc.config).SendWith(t.Context(), tc.delivery, tc.body)
			assert.Equal(t, tc.kind, failure(t, err).Kind)
			assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
			assert.Empty(t, requests)
		})
	}
}

func TestScheme(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{
		URL:  target,
		Auth: webhook.Scheme("Bearer", secret.Literal("T0KEN-V4LUE")),
		Body: webhook.StaticBody([]byte(`{"said":"T0KEN-V4LUE"}`)),
	})
	receipt, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, "Bearer T0KEN-V4LUE", got.header.Get("Authorization"))
	assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"))
	assert.JSONEq(t, `{"said":"T0KEN-V4LUE"}`, string(receipt.Request.Body), "as it was written")
}
