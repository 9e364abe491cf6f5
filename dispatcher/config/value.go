package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// value is what a field holds, checked against its table: a document is a tree of them.
type value struct {
	at     position
	path   string
	field  *Field   // that it is in; nil = the document
	data   any      // string, bool, int, time.Duration or credential; nil for lists and objects
	items  []*value // of a list
	fields []*value // of an object, in the order of its table
	table  *table   // of an object: what it may have

	compiled *template.Template // of a text that is one
}

// credential is a secret and how it was written.
type credential struct {
	value     secret.Value
	reference string // for example env:NAME; "" = a literal
}

// get returns a field of an object, or nil.
func (v *value) get(name string) *value {
	if v != nil {
		for _, f := range v.fields {
			if f.field.Name == name {
				return f
			}
		}
	}
	return nil
}

// name is that of the field that v is in; "" = the document.
func (v *value) name() string {
	if v.field == nil {
		return ""
	}
	return v.field.Name
}

// has reports whether a field of an object is there.
func (v *value) has(name string) bool { return v.get(name) != nil }

// text returns the text in a field of an object, or "".
func (v *value) text(name string) string { return dataOf[string](v.get(name)) }

// dataOf is what v holds, if that is a T; otherwise, or if v is nil, the zero value.
func dataOf[T any](v *value) T {
	var data T
	if v != nil {
		data, _ = v.data.(T)
	}
	return data
}

// complete reports whether everything that is required is there: v and what is in it are as their tables promise.
func (v *value) complete() bool {
	if v.data == nil && v.items == nil && v.table == nil {
		return !v.field.isObject() // it could not be read, which is as good as empty for text and the like
	}
	for f := range v.table.all() {
		if f.Required && v.get(f.Name) == nil {
			return false
		}
	}
	return !slices.ContainsFunc(slices.Concat(v.items, v.fields), func(inner *value) bool { return !inner.complete() })
}

// locate goes along a path below v, such as "headers[3].name", as far as there are such fields. It returns the path
// from the document, and the position of the nearest thing around it that is there.
func (v *value) locate(path string) (position, string) {
	if v == nil {
		return position{}, path
	}
	at, found := v.at, v.path
	for path != "" {
		var next *value
		if rest, ok := strings.CutPrefix(path, "["); ok {
			index, after, _ := strings.Cut(rest, "]")
			i, ok := atoi(index)
			if !ok || i >= len(v.items) {
				break
			}
			next, path = v.items[i], strings.TrimPrefix(after, ".")
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			name := path[:end]
			if v.table.named(name) == nil {
				break
			}
			if next = v.get(name); next == nil {
				return at, join(found, name)
			}
			path = strings.TrimPrefix(path[end:], ".")
		}
		v, at, found = next, next.at, next.path
	}
	return at, found
}

// atoi reads the digits of a number that is not negative and fits an int of 32 bits, and nothing else.
func atoi(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// origin is scheme, host and port of a URL as they are dialled, to be shown; "" = it has none.
func origin(address string) string {
	u, err := netguard.ParseURL("", address, netguard.Limits{AllowInsecureHTTP: true})
	if err != nil {
		return ""
	}
	return netguard.Origin(u)
}

// shownAddress is how a URL without masks is written: it may be a credential behind its origin.
func shownAddress(address string) string {
	start := origin(address)
	switch {
	case start == "":
		return secret.Redacted // whatever that is
	case netguard.SameDestination(address, start):
		return address // there is nothing behind it
	}
	return start + "/" + secret.Redacted
}

// Settings are an object of a document, checked against its table: the fields that are there have the kind, the
// number and the values that the table says, and required ones are there. Methods return the zero value for a field
// that is not there. Settings are immutable and printed without their contents.
type Settings struct{ v *value }

// Has reports whether a field is there.
func (s Settings) Has(field string) bool { return s.v.get(field) != nil }

// Text returns a field of the kind Text or Address.
func (s Settings) Text(field string) string { return s.v.text(field) }

// Texts returns a list of Text.
func (s Settings) Texts(field string) []string { return list[string](s, field) }

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
func (s Settings) Numbers(field string) []int { return list[int](s, field) }

// Duration returns a Duration; -1 is the field's Word.
func (s Settings) Duration(field string) time.Duration { return dataOf[time.Duration](s.v.get(field)) }

// Durations returns a list of Duration.
func (s Settings) Durations(field string) []time.Duration { return list[time.Duration](s, field) }

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
	return s.v.get(field).compile(o)
}

// Templates compiles a list of Text. The error joins one for each that does not compile.
func (s Settings) Templates(field string, o template.Options) ([]*template.Template, error) {
	var all []*template.Template
	var errs []error
	if list := s.v.get(field); list != nil {
		for _, item := range list.items {
			t, err := item.compile(o)
			all, errs = append(all, t), append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}

// Object returns an Object, or one of Variants. One that is not there has no fields.
func (s Settings) Object(field string) Settings { return Settings{s.v.get(field)} }

// Objects returns a list of objects.
func (s Settings) Objects(field string) []Settings {
	f := s.v.get(field)
	if f == nil {
		return nil
	}
	all := make([]Settings, len(f.items))
	for i, item := range f.items {
		all[i] = Settings{item}
	}
	return all
}

// Mistake returns an [*Error] about a field, which may be one within another, such as "headers[3].name". A [Type]'s
// Make joins one for each mistake that it finds itself.
func (s Settings) Mistake(field string, code channel.ConfigCode, problem, remedy string) error {
	at, path := s.v.locate(field)
	return newError(at, path, code, problem, remedy)
}

// String shows nothing, because Settings may hold secrets.
func (s Settings) String() string { return "config.Settings" }

// GoString is String.
func (s Settings) GoString() string { return s.String() }

func list[T any](s Settings, field string) []T {
	f := s.v.get(field)
	if f == nil {
		return nil
	}
	all := make([]T, 0, len(f.items))
	for _, item := range f.items {
		all = append(all, dataOf[T](item))
	}
	return all
}

// compile makes a template of a text, and notes it there for Findings.
func (v *value) compile(o template.Options) (*template.Template, error) {
	t, err := template.Compile(dataOf[string](v), o)
	if err == nil {
		v.compiled = t
		return t, nil
	}
	problem, remedy := "is not a template: "+err.Error(), "correct it"
	if e, ok := errors.AsType[*template.SyntaxError](err); ok {
		problem, remedy = fmt.Sprintf("is not a template: in its line %d, column %d, %s", e.Line, e.Column, e.Message), cmp.Or(e.Hint, remedy)
	} else if e, ok := errors.AsType[*template.JSONError](err); ok {
		problem, remedy = fmt.Sprintf("does not make JSON: in its line %d, column %d, %s", e.Line, e.Column, e.Message), cmp.Or(e.Hint, remedy)
	}
	return nil, newError(v.at, v.path, channel.CodeTemplate, problem, remedy)
}
