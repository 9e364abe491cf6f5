package main

import (
	"bytes"
	"text/template"
)

// textBody makes what handlebarsBody makes.
const textBody = `{
  "event": "{{.event_type}}", "at": {{.event_time}}, "id": "{{.data.friendly_id}}",
  "requester": {"name": "{{.data.requester.name}}", "email": "{{.data.requester.email}}"},
  "text": "{{.data.justification}}", "until": {{.data.revocation_date}}, "flow": "{{.data.access_flow.name}}",
  {{if .data.access_bundle}}"bundle": "{{.data.access_bundle.name}}", {{end}}"url": "{{.data.url}}",
  "resources": [{{range $i, $g := .data.access_groups}}{{if $i}}, {{end}}{{range $j, $u := .access_units}}{{if $j}}, {{end}}"{{.resource.name}}: {{.permission.name}}"{{end}}{{end}}]
}
`

// textTemplate is the standard library's engine.
func textTemplate() renderer {
	return renderer{
		name: "text/template", traits: renderTraits{"no", "methods and fields of values, by reflection", "none"},
		open: func(data any) (func() (string, error), error) {
			t, err := template.New("").Parse(textBody)
			if err != nil {
				return nil, err
			}
			var out bytes.Buffer
			return func() (string, error) {
				out.Reset()
				err := t.Execute(&out, data)
				return out.String(), err
			}, nil
		},
	}
}
