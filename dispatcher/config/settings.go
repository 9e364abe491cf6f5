package config

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// Settings are an object of a document, checked against its table: the fields that are there have the kind, the
// number and the values that the table says, and required ones are there. Methods return the zero value for a field
// that is not there. Settings are immutable and printed without their contents.
type Settings struct {
	v        *value
	compiled *[]compiledTemplate // of the channel, for Findings; nil = they are not kept
}

// compiledTemplate is a template and the path from its channel to the text that it was made of.
type compiledTemplate struct {
	path     string
	template *template.Template
}

// Has reports whether a field is there.
func (s Settings) Has(field string) bool { return s.v.get(field) != nil }

// Text returns a field of the kind Text or Address.
func (s Settings) Text(field string) string { return s.v.text(field) }

// Texts returns a list of Text.
func (s Settings) Texts(field string) []string { return listOf[string](s, field) }

// Flag returns a Flag, or def if it is not there.
func (s Settings) Flag(field string, def bool) bool {
	if s.Has(field) {
		return dataOf[bool](s.v.get(field))
	}
	return def
}

// Number returns a Number.
func (s Settings) Number(field string) int { return dataOf[int](s.v.get(field)) }

// Numbers returns a list of Number.
func (s Settings) Numbers(field string) []int { return listOf[int](s, field) }

// Duration returns a Duration; -1 is the field's Word.
func (s Settings) Duration(field string) time.Duration { return dataOf[time.Duration](s.v.get(field)) }

// Durations returns a list of Duration.
func (s Settings) Durations(field string) []time.Duration { return listOf[time.Duration](s, field) }

// Secret returns a Secret.
func (s Settings) Secret(field string) secret.Value { return dataOf[credential](s.v.get(field)).value }

// Masks returns Masks.
func (s Settings) Masks(field string) []secret.Mask {
	var all []secret.Mask
	for _, m := range s.Objects(field) {
		all = append(all, secret.Mask{Replacement: m.Text("replacement"), Value: m.Secret("value")})
	}
	return all
}

// Headers returns Headers with their templates compiled. The error joins one for each that does not compile.
func (s Settings) Headers(field string) ([]webhook.Header, error) {
	all := s.headers(field)
	var errs []error
	for i, h := range s.Objects(field) {
		var err error
		all[i].Template, err = h.Template("template", template.Options{Mode: template.Header})
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// headers returns Headers without their templates.
func (s Settings) headers(field string) []webhook.Header {
	var all []webhook.Header
	for _, h := range s.Objects(field) {
		all = append(all, webhook.Header{Name: h.Text("name"), Value: h.Text("value"), Secret: h.Secret("secret")})
	}
	return all
}

// Template compiles a Text; nil if it is not there.
func (s Settings) Template(field string, o template.Options) (*template.Template, error) {
	if !s.Has(field) {
		return nil, nil //nolint:nilnil // no template is not a mistake
	}
	return s.compile(s.v.get(field), o)
}

// Templates compiles a list of Text. The error joins one for each that does not compile.
func (s Settings) Templates(field string, o template.Options) ([]*template.Template, error) {
	var all []*template.Template
	var errs []error
	for _, item := range s.v.get(field).items() {
		t, err := s.compile(item, o)
		all, errs = append(all, t), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// Object returns an Object, or one of Variants. One that is not there has no fields.
func (s Settings) Object(field string) Settings { return Settings{s.v.get(field), s.compiled} }

// Objects returns a list of objects.
func (s Settings) Objects(field string) []Settings {
	items := s.v.get(field).items()
	if items == nil {
		return nil
	}
	all := make([]Settings, len(items))
	for i, item := range items {
		all[i] = Settings{item, s.compiled}
	}
	return all
}

// Mistake returns an [*Error] about a field, which may be one within another, such as "headers[3].name". A [Type]'s
// Make joins one for each mistake that it finds itself. Its Path begins at the channel until it is reported.
func (s Settings) Mistake(field string, code channel.ConfigCode, problem, remedy string) error {
	if s.v == nil {
		return newError(position{}, field, code, problem, remedy)
	}
	nearest, path := s.v.locate(field)
	return newError(nearest.at, path, code, problem, remedy)
}

// String shows nothing, because Settings may hold secrets.
func (s Settings) String() string { return "config.Settings" }

// GoString is String.
func (s Settings) GoString() string { return s.String() }

func listOf[T any](s Settings, field string) []T {
	f := s.v.get(field)
	if f == nil {
		return nil
	}
	all := make([]T, 0, len(f.items()))
	for _, item := range f.items() {
		all = append(all, dataOf[T](item))
	}
	return all
}

// compile makes a template of a text, and notes it for Findings.
func (s Settings) compile(v *value, o template.Options) (*template.Template, error) {
	t, err := template.Compile(dataOf[string](v), o)
	if err == nil {
		if s.compiled != nil {
			*s.compiled = append(*s.compiled, compiledTemplate{v.path(), t})
		}
		return t, nil
	}
	problem, remedy := "is not a template: "+err.Error(), "correct it"
	if e, ok := errors.AsType[*template.SyntaxError](err); ok {
		problem, remedy = fmt.Sprintf("is not a template: in its line %d, column %d, %s", e.Line, e.Column, e.Message), cmp.Or(e.Hint, remedy)
	} else if e, ok := errors.AsType[*template.JSONError](err); ok {
		problem, remedy = fmt.Sprintf("does not make JSON: in its line %d, column %d, %s", e.Line, e.Column, e.Message), cmp.Or(e.Hint, remedy)
	}
	return nil, newError(v.at, v.path(), channel.CodeTemplate, problem, remedy)
}
