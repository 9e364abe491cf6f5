package config

import (
	"cmp"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

func bodyField() Field {
	source := Field{Name: "template", Required: true, Doc: "The template."}
	mode := Field{Name: "format", Values: []string{"json", "text"}, Doc: "What the template makes. Default: json."}
	return Field{Name: "body", Kind: Variants, Tag: "kind", Doc: "What requests carry. Default: the event's JSON form.", Variants: []Variant{
		{Name: "event", Doc: "the event's JSON form as it is"},
		{Name: "template", Doc: "what a Handlebars template makes of the event", Fields: []Field{source, mode}},
		{Name: "macros", Doc: "what a template with %%Name%% makes of the event", Fields: []Field{
			source, mode,
			{Name: "names", Values: macroSets(), Doc: "Which macros there are: those of application access events, those of session events, or any path such as %%data.id%%. Default: application."},
		}},
		{Name: "form", Doc: "form variables, as remote access products send them", Fields: []Field{
			{Name: "version", Doc: "The variable version. Default: 1."},
			{Name: "custom_fields", Kind: Flag, Doc: "Whether every attribute of the event is a variable too. Default: false."},
		}},
		{Name: "alert", Doc: "the flat alert of 17 fields, for alert events"},
		{Name: "cloudevents", Doc: "CloudEvents 1.0", Fields: []Field{
			{Name: "source", Required: true, Doc: "The attribute source of events that have none, such as the product's URL."},
			{Name: "binary", Kind: Flag, Doc: "Whether attributes are sent as headers. Default: false, one JSON document."},
			{Name: "attributes", List: true, MaxItems: 100, Doc: "The event's attributes that become extension attributes. Default: all."},
		}},
		{Name: "static", Doc: "always the same text", Fields: []Field{
			{Name: "text", Required: true, Doc: "The body: JSON, unless content_type says something else. No place for credentials."},
		}},
	}}
}

// body makes the body that s describes.
func body(s Settings) (webhook.Body, error) {
	switch s.Text("kind") {
	case "template", "macros":
		t, err := s.Template("template", bodyTemplate(s))
		return webhook.TemplateBody(t), err
	case "form":
		return webhook.FormBody(webhook.FormOptions{Version: s.Text("version"), CustomFields: s.Flag("custom_fields", false)}), nil
	case "alert":
		return webhook.AlertBody(), nil
	case "cloudevents":
		return webhook.CloudEvents(webhook.CloudEventsOptions{Source: s.Text("source"), Binary: s.Flag("binary", false), Attributes: s.Texts("attributes")}), nil
	case "static":
		return webhook.StaticBody([]byte(s.Text("text"))), nil
	default:
		return webhook.Body{}, nil
	}
}

func bodyTemplate(s Settings) template.Options {
	o := template.Options{Mode: template.JSON}
	if s.Text("format") == "text" {
		o.Mode = template.Text
	}
	if s.Text("kind") == "macros" {
		o.Syntax, o.Macros = template.Macros, macros(s.Text("names"), "application")
	}
	return o
}

// macroSets are the names of sets of macros.
func macroSets() []string { return []string{"application", "session", "paths"} }

// macros returns the macros of a set; nil = any path.
func macros(set, def string) map[string]string {
	switch cmp.Or(set, def) {
	case "session":
		return template.SessionMacros()
	case "application":
		return template.ApplicationMacros()
	default:
		return nil
	}
}
