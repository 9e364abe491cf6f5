package webhook_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/template"
)

// BenchmarkRendering counts the allocations of one Send for each way to make a request; the receiver is another
// process.
func BenchmarkRendering(b *testing.B) {
	target, _ := startReceiver(b)
	path := compile(b, template.URL, "/v1/{{data.friendly_id}}/events?about={{subject}}")
	body := webhook.TemplateBody(compile(b, template.JSON, `{"text":"{{data.requester.name}}: {{data.justification}}","data":{{json data}} }`))
	header := []webhook.Header{{Name: "X-Event", Template: compile(b, template.Header, "{{event_type}}")}}
	for _, bc := range []struct {
		name   string
		config webhook.Config
	}{
		{"plain", webhook.Config{URL: target + "/v1/events", Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"body", webhook.Config{URL: target + "/v1/events", Body: body, Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"form", webhook.Config{URL: target + "/v1/events", Body: webhook.FormBody(webhook.FormOptions{})}},
		{"structured", webhook.Config{URL: target + "/v1/events", Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})}},
		{"binary", webhook.Config{URL: target + "/v1/events", Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true})}},
		{"signed", webhook.Config{URL: target + "/v1/events", Sign: webhook.Sign(signature.Standard, signingKey(newKey))}},
		{"header", webhook.Config{URL: target + "/v1/events", Headers: header}},
		{"path", webhook.Config{URL: target, Path: path, Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"all", webhook.Config{URL: target, Path: path, Body: body, Headers: header}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			hook := newChannel(b, bc.config)
			d := sample()
			_, err := hook.Send(context.Background(), d) // makes the connection and the decoded form
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hook.Send(context.Background(), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
