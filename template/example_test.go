package template_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-go/tocsin/template"
)

func ExampleCompile() {
	tpl, err := template.Compile(`{"text": "{{data.requester}} asks for {{join data.resources}}", "since": {{event_time}} }`, template.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := template.Normalise(map[string]any{
		"event_time": 1700000000,
		"data":       map[string]any{"requester": `Ada "the first"`, "resources": []string{"orders", "invoices"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := tpl.Render(context.Background(), nil, data)
	fmt.Println(string(out), err)
	// Output: {"text": "Ada \"the first\" asks for orders, invoices", "since": 1700000000 } <nil>
}

func ExampleCompile_errors() {
	_, err := template.Compile(`{"a": {{x}}}`, template.Options{})
	var syntax *template.SyntaxError
	fmt.Println(errors.As(err, &syntax), err)
	_, err = template.Compile(`{"path": "C:\\{{x}}"}`, template.Options{})
	var notJSON *template.JSONError
	fmt.Println(errors.As(err, &notJSON), err)
	// Output:
	// true template 1:10: }}} does not close {{; if the last } belongs to JSON, put a space before it: }} }
	// true not JSON: template 1:15: this stands inside an escape sequence of a JSON string; Handlebars takes one of two backslashes before {{ for itself: write three for a JSON \\ before an expression
}

func ExampleTemplate_Lint() {
	tpl, err := template.Compile("{{data.requestr.name}} {{data.groups.name}}", template.Options{Mode: template.Text})
	if err != nil {
		fmt.Println(err)
		return
	}
	example := map[string]any{"data": map[string]any{
		"requester": map[string]any{"name": "Ada"},
		"groups":    []any{map[string]any{"name": "orders"}},
	}}
	for _, finding := range tpl.Lint(example) {
		fmt.Println(finding)
	}
	// Output:
	// template 1:3: the example has nothing at data.requestr.name; did you mean requester?
	// template 1:26: data.groups has no field name; it is a list: use {{#each data.groups}}
}

func ExampleTemplate_Trial() {
	tpl, err := template.Compile(`{"names": [{{#each names}}"{{this}}",{{/each}}]}`, template.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, finding := range tpl.Trial(context.Background(), map[string]any{"names": []any{"a"}}) {
		fmt.Println(finding)
	}
	// Output: template 1:47: a comma is not followed by anything; leave it out after the last element: {{#unless @last}},{{/unless}}
}

func ExampleSessionMacros() {
	macros := template.SessionMacros()
	macros["site"] = "attributes.site"
	tpl, err := template.Compile("%%username%% joined %%conference_name%% (%%site%%)", template.Options{
		Mode: template.Header, Syntax: template.Macros, Macros: macros,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := tpl.Render(context.Background(), nil, map[string]any{
		"attributes": map[string]any{"site": "Vienna"},
		"data":       map[string]any{"username": "ada", "conference_name": "Jump\r\nserver"},
	})
	fmt.Println(string(out), err)
	// Output: ada joined Jump  server (Vienna) <nil>
}
