package manage

import (
	"encoding/json"
	"net/http"

	"github.com/tocsin-go/tocsin/event"
)

type previewBody struct {
	Template  string          `json:"template" doc:"the template."`
	Mode      string          `json:"mode,omitempty" enum:"json,html,text,header,url,slack" doc:"What it makes. Default: json."`
	Syntax    string          `json:"syntax,omitempty" enum:"handlebars,macros" doc:"Its language. Default: handlebars."`
	Macros    string          `json:"macros,omitempty" enum:"application,session,paths" doc:"Which macros there are. Default: paths."`
	EventType string          `json:"event_type,omitempty" doc:"Type of the event that it is tried with. This or sample is required."`
	Sample    json.RawMessage `json:"sample,omitempty" ref:"Any" doc:"An event, or other data, that it is tried with."`
}

type previewForm struct {
	Output   string        `json:"output" doc:"What it makes, also if that is no JSON."`
	Findings []findingForm `json:"findings" doc:"What is wrong, or probably not meant."`
}

type findingForm struct {
	Severity string `json:"severity" enum:"error,failing,warning" doc:"error: it cannot be used; failing: it fails with some events; warning: probably not what was meant."`
	Kind     string `json:"kind,omitempty" doc:"What kind of finding it is."`
	Path     string `json:"path,omitempty" doc:"The path in the event that it is about."`
	Line     int    `json:"line,omitempty" doc:"Line of the template, from 1."`
	Column   int    `json:"column,omitempty" doc:"Column there, in characters, from 1."`
	Message  string `json:"message" doc:"What was found."`
	Hint     string `json:"hint,omitempty" doc:"What to do."`
}

func previewEndpoints() []endpoint {
	return []endpoint{{
		method: http.MethodPost, path: "/templates/preview", role: Viewer, id: "previewTemplate", request: previewBody{}, answers: ok(previewForm{}, "What it makes."),
		summary: "Try a template with a sample: what it makes, and what is wrong with it.",
		handle: func(c *call) (*reply, error) {
			var b previewBody
			limits := c.service.options.Limits
			if err := c.body(limits.Channel+limits.Sample, &b); err != nil {
				return nil, err
			}
			p, err := c.service.Preview(c.ctx(), c.by.Tenant, PreviewInput{b.Template, b.Mode, b.Syntax, b.Macros, event.Type(b.EventType), b.Sample})
			if err != nil {
				return nil, err
			}
			out := previewForm{Output: p.Output, Findings: []findingForm{}}
			for _, f := range p.Findings {
				out.Findings = append(out.Findings, findingForm{f.Severity, string(f.Kind), f.Path, f.Line, f.Column, f.Message, f.Hint})
			}
			return &reply{status: http.StatusOK, body: out}, nil
		},
	}}
}
