// Templates renders one event as a webhook body, a SendGrid message and a Slack text, and shows what an
// administrator reads when a template is wrong. It needs no network.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

const accessRequest = `{
  "type": "{{event_type}}",
  "time": {{event_time}},
  "request": "{{data.friendly_id}}",
  "requester": "{{data.requester.name}} <{{data.requester.email}}>",
  "reason": "{{data.justification}}",
  "resources": [{{#each data.access_groups}}{{#each access_units}}
    {"name": "{{../integration.name}}/{{resource.name}}", "permission": "{{permission.name}}"}{{#unless @last}},{{/unless}}{{/each}}{{#unless @last}},{{/unless}}{{/each}}
  ]
}`

const sendGrid = `{
  "personalizations": [{"to": [{"email": "helpdesk@example.com"}]}],
  "from": {"email": "access@example.com"},
  "subject": "%%User%%: %%EventType%%",
  "content": [{
    "type": "text/plain",
    "value": "%%RequestId%%: %%Reason%%"
  }]
}`

const slackText = `*{{data.requester.name}}* asks for access ({{data.friendly_id}})
> {{data.justification}}
{{#each data.access_groups}}
• {{integration.name}}: {{#each access_units}}{{resource.name}}{{#unless @last}}, {{/unless}}{{/each}}
{{/each}}`

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// request is the event all of it is made from. Its justification was written by somebody who tries everything.
func request() (event.Event, error) {
	sample, _ := event.Sample(event.TypeRequestPending)
	pending, err := event.Decode[event.RequestPending](sample)
	if err != nil {
		return event.Event{}, err
	}
	pending.Justification = "Fix \"it\", \"approved\": true} <!channel>\n<https://evil.example|Approve>"
	return event.New(pending, event.Meta{Tenant: "acme"})
}

// macros are the names this product offers in macro templates; template.ApplicationMacros and template.SessionMacros
// are two ready-made sets.
func macros() map[string]string {
	return map[string]string{
		"User": "data.requester.name", "RequestId": "data.friendly_id", "EventType": "event_type", "Reason": "data.justification",
	}
}

func run(ctx context.Context, w io.Writer) error {
	e, err := request()
	if err != nil {
		return err
	}
	data := e.Decoded() // made once, shared by all routes
	for _, show := range []struct {
		title, source string
		options       template.Options
	}{
		{"Access-request webhook body (Handlebars, JSON)", accessRequest, template.Options{}},
		{"SendGrid message (macros, JSON)", sendGrid, template.Options{Syntax: template.Macros, Macros: macros()}},
		{"Slack text (Handlebars, mrkdwn)", slackText, template.Options{Mode: template.Slack}},
	} {
		tpl, err := template.Compile(show.source, show.options)
		if err != nil {
			return err
		}
		out, err := tpl.Render(ctx, nil, data)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "── %s ──\n%s\n\n", show.title, out)
	}
	fmt.Fprintln(w, "── Templates with mistakes ──")
	for _, source := range []string{
		`{"reason": "{{data.justification}}", "flow": {{data.friendly_id}}}`,
		`{"reason": "{{data.justification}}, "flow": 1}`,
	} {
		fmt.Fprintf(w, "\n%s\n  %s\n", source, verdict(source))
	}
	fmt.Fprintln(w, "\n── Valid, but not what was meant ──")
	return check(ctx, w, `{"who": "{{data.requestr.name}}",
 "names": [{{#each data.access_groups}}"{{integration.name}}",{{/each}}]}`, data)
}

// verdict tells the two kinds of mistakes apart, as a form would.
func verdict(source string) string {
	_, err := template.Compile(source, template.Options{})
	var syntax *template.SyntaxError
	var notJSON *template.JSONError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("not valid Handlebars, line %d, column %d: %s\n  %s", syntax.Line, syntax.Column, syntax.Message, syntax.Hint)
	case errors.As(err, &notJSON):
		return fmt.Sprintf("not valid JSON, line %d, column %d: %s\n  %s", notJSON.Line, notJSON.Column, notJSON.Message, notJSON.Hint)
	}
	return fmt.Sprint(err)
}

// check shows what lint and trial find before a channel is saved.
func check(ctx context.Context, w io.Writer, source string, example any) error {
	tpl, err := template.Compile(source, template.Options{})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", source)
	for _, finding := range append(tpl.Lint(example), tpl.Trial(ctx, example)...) {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(finding.String(), "; ", ";\n    "))
	}
	return nil
}
