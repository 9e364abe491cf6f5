package main

import (
	"context"

	"github.com/tocsin-go/tocsin/template"
)

// handlebarsBody is the body that is made.
const handlebarsBody = `{
  "event": "{{event_type}}", "at": {{event_time}}, "id": "{{data.friendly_id}}",
  "requester": {"name": "{{data.requester.name}}", "email": "{{data.requester.email}}"},
  "text": "{{data.justification}}", "until": {{data.revocation_date}}, "flow": "{{data.access_flow.name}}",
  {{#if data.access_bundle}}"bundle": "{{data.access_bundle.name}}", {{/if}}"url": "{{data.url}}",
  "resources": [{{#each data.access_groups}}{{#unless @first}}, {{/unless}}{{#each access_units}}{{#unless @first}}, {{/unless}}"{{resource.name}}: {{permission.name}}"{{/each}}{{/each}}]
}
`

// tocsinTemplate is package template for JSON: values escaped for their place, the result checked.
func tocsinTemplate() renderer {
	return tocsinRenderer("Tocsin, for JSON", template.JSON, "for the place each stands in; the result is checked")
}

// tocsinTextTemplate is the same for text: the fair comparison with engines that know nothing of JSON.
func tocsinTextTemplate() renderer {
	return tocsinRenderer("Tocsin, for text", template.Text, "no, as asked")
}

func tocsinRenderer(name string, mode template.Mode, escapes string) renderer {
	return renderer{
		name: name, traits: renderTraits{escapes, "the event's data, nothing else", "size, depth, steps"},
		open: func(data any) (func() (string, error), error) {
			t, err := template.Compile(handlebarsBody, template.Options{Mode: mode})
			if err != nil {
				return nil, err
			}
			var out []byte
			return func() (_ string, err error) {
				out, err = t.Render(context.Background(), out[:0], data)
				return string(out), err
			}, nil
		},
	}
}
