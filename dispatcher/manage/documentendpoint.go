package manage

import (
	"net/http"
	"strings"

	"github.com/tocsin-go/tocsin/event"
)

// yamlTypes are the media types of YAML; the first one is that of RFC 9512.
var yamlTypes = []string{"application/yaml", "application/x-yaml", "text/yaml"} //nolint:gochecknoglobals // read-only

type importForm struct {
	Revision uint64       `json:"revision" doc:"Revision of the configuration that is stored."`
	Applied  uint64       `json:"applied_revision" doc:"Revision that the process that answers has in force."`
	DryRun   bool         `json:"dry_run,omitempty" doc:"Whether nothing was changed."`
	Changes  []changeForm `json:"changes" doc:"What was changed, or would be, without secrets."`
}

type changeForm struct {
	Path   string `json:"path" doc:"Path of the field."`
	Before string `json:"before,omitempty" doc:"Its value before; absent if it had none."`
	After  string `json:"after,omitempty" doc:"Its value since; absent if it has none."`
}

func documentEndpoints() []endpoint {
	return []endpoint{
		{
			method: http.MethodGet, path: "/notification-config", role: Viewer, id: "getConfig", answers: ok(documentBody{}, "The configuration."),
			summary: "Get the tenant's whole configuration, without secrets: in YAML if the Accept header prefers that, else in JSON.",
			handle: func(c *call) (*reply, error) {
				d, err := c.service.Export(c.ctx(), c.by.Tenant)
				if err != nil {
					return nil, err
				}
				out := &reply{status: http.StatusOK, etag: d.ETag, text: d.JSON(), mediaType: "application/json"}
				if strings.Contains(c.request.Header.Get("Accept"), "yaml") {
					out.text, out.mediaType = d.YAML(), yamlTypes[0]
				}
				return out, nil
			},
		},
		{
			method: http.MethodPut, path: "/notification-config", role: Editor, id: "replaceConfig", request: documentBody{}, match: "required", answers: ok(importForm{}, "What was changed."),
			query:   []parameter{oneOf("dry_run", "Change nothing, and say what would be.", "true", "false")},
			summary: "Replace the tenant's whole configuration, by a document in JSON or YAML. Where it has [redacted], stored secrets are kept.",
			handle: func(c *call) (*reply, error) {
				etag, err := c.etag()
				if err != nil {
					return nil, err
				}
				text, mediaType, err := readBody(c.writer, c.request, c.service.options.Limits.Document, append([]string{"application/json"}, yamlTypes...)...)
				if err != nil {
					return nil, err
				}
				file := "config.yaml"
				if mediaType == "application/json" {
					file = "config.json"
					if _, err := parseObject(text); err != nil {
						return nil, err
					}
				}
				dry := c.text("dry_run") == "true"
				d, changes, err := c.service.Import(c.ctx(), c.by, file, text, etag, dry)
				if err != nil {
					return nil, err
				}
				return &reply{status: http.StatusOK, body: importForm{uint64(d.Revision), uint64(d.Applied), dry, changeForms(changes)}, etag: d.ETag}, nil
			},
		},
	}
}

// documentBody stands for a document.
type documentBody struct{}

func changeForms(changes []event.FieldChange) []changeForm {
	all := make([]changeForm, len(changes))
	for i, c := range changes {
		all[i] = changeForm(c)
	}
	return all
}
