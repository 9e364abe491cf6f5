package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// PreviewInput is a template to try.
type PreviewInput struct {
	Template  string
	Mode      string // json, html, text, header, url or slack; "" = json
	Syntax    string // handlebars or macros; "" = handlebars
	Macros    string // of macros: application, session or paths; "" = paths
	EventType event.Type
	Sample    json.RawMessage // any JSON in place of a sample of EventType
}

// Preview is what a template makes of a sample, and what is wrong with it.
type Preview struct {
	Output   string // also if it is no JSON; "" = nothing could be made
	Findings []Finding
}

// Finding is something about a template.
type Finding struct {
	Severity string // error: it cannot be used; failing: it fails with some events; warning: perhaps not what was meant
	Kind     template.Kind
	Path     string // in the event; "" = it is not about one
	Line     int    // in the template, from 1
	Column   int    // in characters, from 1
	Message  string
	Hint     string // what to do; may be empty
}

// Preview compiles a template, compares its paths with the sample, tries variations of that, and renders it.
func (s *Service) Preview(ctx context.Context, tenant string, in PreviewInput) (Preview, error) {
	sample, err := s.sampleOf(tenant, in)
	if err != nil {
		return Preview{}, err
	}
	o, wrong := in.options()
	if wrong != nil {
		return Preview{}, wrong
	}
	if most := s.options.Limits.Channel / 2; len(in.Template) > most {
		return Preview{}, newError(CodeTooLarge, fmt.Sprintf("the template has more than %d bytes", most), "make it smaller")
	}
	p := Preview{Findings: []Finding{}}
	t, err := template.Compile(in.Template, o)
	if err != nil {
		p.Findings = append(p.Findings, errorFindings(err)...)
		return p, nil
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	for _, f := range t.Lint(sample) {
		p.Findings = append(p.Findings, findingOf("warning", f))
	}
	for _, f := range t.Trial(ctx, sample) {
		severity := "failing"
		if f.Kind == template.KindEmpty || f.Kind == template.KindLimit {
			severity = "warning"
		}
		if one := findingOf(severity, f); !slices.ContainsFunc(p.Findings, func(other Finding) bool { return other == one }) {
			p.Findings = append(p.Findings, one)
		}
	}
	data, err := template.Normalise(sample)
	if err != nil {
		return Preview{}, &Error{Code: CodeFields, Fields: []FieldError{{"/sample", channel.CodeInvalid, "cannot be used as data", "give a JSON object", 0, 0}}}
	}
	out, err := t.Render(ctx, nil, data)
	p.Output = string(out)
	if err != nil {
		p.Findings = append(p.Findings, errorFindings(err)...)
		if invalid, ok := errors.AsType[*template.JSONError](err); ok {
			p.Output = invalid.Text()
		}
	}
	return p, nil
}

// options are how the template is compiled.
func (in PreviewInput) options() (template.Options, *Error) {
	unknown := func(field string, all ...string) *Error {
		return &Error{Code: CodeFields, Fields: []FieldError{{"/" + field, channel.CodeUnknown, "is not one of the values it may have", "use one of " + strings.Join(all, ", "), 0, 0}}}
	}
	o := template.Options{}
	modes := []string{"json", "html", "text", "header", "url", "slack"}
	if in.Mode != "" {
		found := false
		for _, m := range []template.Mode{template.JSON, template.HTML, template.Text, template.Header, template.URL, template.Slack} {
			if strings.EqualFold(m.String(), in.Mode) {
				o.Mode, found = m, true
			}
		}
		if !found {
			return o, unknown("mode", modes...)
		}
	}
	switch in.Syntax {
	case "", "handlebars":
	case "macros":
		o.Syntax = template.Macros
		switch in.Macros {
		case "application":
			o.Macros = template.ApplicationMacros()
		case "session":
			o.Macros = template.SessionMacros()
		case "", "paths":
		default:
			return o, unknown("macros", "application", "session", "paths")
		}
	default:
		return o, unknown("syntax", "handlebars", "macros")
	}
	return o, nil
}

// sampleOf is what the template is tried with.
func (s *Service) sampleOf(tenant string, in PreviewInput) (any, error) {
	if in.Sample != nil {
		if most := s.options.Limits.Sample; len(in.Sample) > most {
			return nil, newError(CodeTooLarge, fmt.Sprintf("the sample has more than %d bytes", most), "make it smaller")
		}
		return tree(in.Sample), nil
	}
	e, ok := s.sample(tenant, in.EventType)
	if !ok {
		return nil, &Error{Code: CodeFields, Fields: []FieldError{{"/event_type", channel.CodeUnknown, "has no sample", "name a type of the catalogue, or give a sample", 0, 0}}}
	}
	return e.Decoded(), nil
}

// sample returns a realistic event of a type.
func (s *Service) sample(tenant string, t event.Type) (event.Event, bool) {
	if e, ok := event.Sample(t); ok {
		return e, true
	}
	var o config.Options
	if s.options.Config != nil {
		o = s.options.Config(tenant)
	}
	i := slices.IndexFunc(o.Samples, func(e event.Event) bool { return e.Type() == t })
	if i < 0 {
		return event.Event{}, false
	}
	return o.Samples[i], true
}

func findingOf(severity string, f template.Finding) Finding {
	return Finding{severity, f.Kind, f.Path, f.Line, f.Column, f.Message, f.Hint}
}

func errorFindings(err error) []Finding {
	var all []Finding
	for _, each := range joined.Errors(err) {
		if e, ok := errors.AsType[*template.SyntaxError](each); ok {
			all = append(all, Finding{"error", e.Kind, "", e.Line, e.Column, e.Message, e.Hint})
		} else if e, ok := errors.AsType[*template.JSONError](each); ok {
			all = append(all, Finding{"error", e.Kind, "", e.Line, e.Column, e.Message, e.Hint})
		} else if e, ok := errors.AsType[*template.RenderError](each); ok {
			all = append(all, Finding{"error", e.Kind, "", e.Line, e.Column, e.Message, e.Hint})
		} else {
			all = append(all, Finding{Severity: "error", Message: "the template cannot be used"})
		}
	}
	return all
}
