package template

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"
)

func addTemplates(f *testing.F, add func(source string)) {
	var cases []corpusCase
	if err := json.Unmarshal([]byte(file(f, "corpus/handlebars.json")), &cases); err != nil {
		f.Fatal(err)
	}
	for i, c := range cases {
		if i%25 == 0 {
			add(c.Template)
		}
	}
	source, _ := accessRequest(f)
	add(source)
	for _, s := range []string{`{"a":"\\\{{x}}","b":{{x}} }`, "%%User%% 100%% %%x.y%%", "https://h/{{a}}?{{b}}", "{{#if a}}{{if a}}{{/if}}", "{{l.0.x}}{{elsewhere}}",
		`[{{#each l}}"{{this}}"{{#unless @last}},{{/unless}}{{/each}}]`, "{{upper (lookup a 'b')}}", "{{!-- \n --~}}", "{{a\r\n}}"} {
		add(s)
	}
}

// FuzzCompile: any source compiles or gives a typed error with a place inside it; checkGrammar leaves raymond's parser
// nothing to refuse, because each refusal would leak a goroutine.
func FuzzCompile(f *testing.F) {
	addTemplates(f, func(source string) {
		for mode := range 7 {
			f.Add(source, byte(mode), mode == 6)
		}
	})
	f.Fuzz(func(t *testing.T, source string, mode byte, macros bool) {
		o := Options{Mode: Mode(mode % 6), AllowRaw: mode > 127, Limits: Limits{Source: 1 << 14, Nesting: 12}}
		if macros {
			o.Syntax = Macros
		}
		tpl, err := Compile(source, o)
		if err == nil {
			tpl.Paths()
			return
		}
		var p Position
		var syntax *SyntaxError
		var notJSON *JSONError
		switch {
		case errors.As(err, &syntax):
			p = syntax.Position
			if syntax.Message == unparsed {
				t.Fatal("checkGrammar passed what the parser refuses")
			}
		case errors.As(err, &notJSON):
			p = notJSON.Position
		default:
			t.Fatalf("unexpected error %v", err)
		}
		if p.Offset < 0 || p.Offset > len(source) || p.Line < 1 || p.Line > 1+bytes.Count([]byte(source), []byte("\n")) || p.Column < 1 {
			t.Fatalf("position %+v is not in the source", p)
		}
	})
}

// FuzzRender: an accepted template with any data gives valid output of its mode or a typed error, twice the same.
func FuzzRender(f *testing.F) {
	addTemplates(f, func(source string) {
		for mode := range 7 {
			f.Add(source, byte(mode), mode == 6, `{"a":"x\"<>","l":["..",null,{"a":1}],"x":{"y":"\u2028"},"User":"%%x%%"}`)
		}
	})
	f.Fuzz(func(t *testing.T, source string, mode byte, macros bool, text string) {
		o := Options{Mode: Mode(mode % 6), AllowRaw: mode > 127, Limits: Limits{Source: 1 << 14, Nesting: 12, Output: 1 << 16, Steps: 20_000}}
		if macros {
			o.Syntax = Macros
		}
		tpl, err := Compile(source, o)
		if err != nil {
			return
		}
		var data any = text
		if v, err := Normalise(json.RawMessage(text)); err == nil {
			data = v
		}
		out, err := tpl.Render(context.Background(), nil, data)
		again, err2 := tpl.Render(context.Background(), nil, data)
		if (err == nil) != (err2 == nil) || !bytes.Equal(out, again) {
			t.Fatalf("two renders differ: %q %v, %q %v", out, err, again, err2)
		}
		if err != nil {
			var render *RenderError
			var notJSON *JSONError
			if !errors.As(err, &render) && !errors.As(err, &notJSON) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		switch o.Mode {
		case JSON:
			if !json.Valid(out) {
				t.Fatalf("invalid JSON %q", out)
			}
		case Header:
			if bytes.ContainsAny(out, "\r\n\x00\u0085\u2028\u2029") || !utf8.Valid(out) {
				t.Fatalf("header %q", out)
			}
		case URL:
			if dotSegment(out) >= 0 {
				t.Fatalf("dot segment in %q", out)
			}
		default:
		}
		if len(text) < 1000 {
			tpl.Lint(data)
		}
	})
}
