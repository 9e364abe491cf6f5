package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
)

// Document is a configuration as it was read, to be shown and kept. It is immutable and printed without its contents.
type Document struct {
	root   *value // nil = it is empty
	file   string // that it was read from
	edited bool   // since: the places of values are not those of the file
}

// list lists the channels or the routes; nil = the document has no such list.
func (d *Document) list(name string) list {
	if d == nil {
		return nil
	}
	return d.root.get(name).items()
}

// version is that of the form of documents.
const version = 1

// documentTable is that of documents whose channels are of these types.
func documentTable(types map[string]Type) *table {
	channels := Field{
		Name: "channels", Kind: Variants, List: true, itemsCap: func(c Caps) int { return c.Channels }, Tag: "type", Doc: "How events reach people and systems.",
		common: channelFields,
	}
	for _, name := range names(types) {
		channels.Variants = append(channels.Variants, Variant{Name: name, Doc: types[name].Doc, Fields: types[name].Fields})
	}
	return &table{own: prepared([]Field{
		{Name: "$schema", Doc: "Where editors find the schema. It means nothing here."},
		{Name: "version", Kind: Number, Min: version, Max: version, Doc: "Version of the form of this document. Default: 1."},
		channels,
		{Name: "routes", Kind: Object, List: true, itemsCap: func(c Caps) int { return c.Routes }, Doc: "Which events go to which channel, and how.", Fields: routeFields()},
	})}
}

//nolint:gochecknoglobals // read-only table
var channelFields = []Field{
	{Name: "name", Required: true, Max: 100, Doc: "Name of the channel: unique, at most 100 characters."},
	{Name: "network", Destination: true, Doc: "Name of the network policy that says which addresses may be called: public, or one of the host's. Default: public."},
}

// JSON writes the document as JSON. Secrets given as text, and what may be one in a URL, are shown as [redacted];
// references are shown as they are. [Load] reads what JSON wrote back when it is given the Document as Options.Stored.
func (d *Document) JSON() []byte { return indented(writer{}.object(d.root)) }

// YAML is JSON in the other format. Comments of the document that was read are not in it.
func (d *Document) YAML() []byte {
	b, err := yaml.Dump(yamlNode(writer{}.object(d.root)), yaml.WithLineWidth(-1))
	if err != nil {
		return d.JSON() // which is YAML as well
	}
	return b
}

// MarshalJSON is JSON.
func (d *Document) MarshalJSON() ([]byte, error) { return d.JSON(), nil }

// Changed lists the fields of d whose values are not those of before in the same places, such as
// channels[0].auth.token. A secret that was given again counts as another one even if it is equal, or whoever may write
// documents could try out what it is.
func (d *Document) Changed(before *Document) []string {
	var all []string
	var add func(path string, v, was *value)
	add = func(path string, v, was *value) {
		switch data := v.data.(type) {
		case object:
			for _, f := range data {
				add(join(path, f.name()), f, was.get(f.name()))
			}
		case list:
			earlier := was.items()
			for i, item := range data {
				var there *value
				if i < len(earlier) {
					there = earlier[i]
				}
				add(indexed(path, i), item, there)
			}
		default:
			if !sameValue(v, was, identical) {
				all = append(all, path)
			}
		}
	}
	if d.root != nil {
		add("", d.root, before.root)
	}
	return all
}

// Reveal writes the document as JSON with all its secrets but those behind references. It is for the host's own store,
// which encrypts it; Load reads it without Options.Stored. Never show it.
func (d *Document) Reveal(ctx context.Context) ([]byte, error) {
	var errs []error
	b := indented(writer{func(v secret.Value) string {
		text, err := v.Reveal(ctx)
		errs = append(errs, err)
		return text
	}}.object(d.root))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// String shows nothing, because a Document may hold secrets.
func (d *Document) String() string { return "config.Document" }

// GoString is String.
func (d *Document) GoString() string { return d.String() }

// written is a field in the form in which all formats show it.
type written struct {
	name  string
	value any // string, bool, int, []any or []written
}

// writer turns values into what is written of them.
type writer struct {
	reveal func(secret.Value) string // nil = secrets are hidden
}

func (w writer) object(v *value) []written {
	fields := []written{}
	masked := len(v.masked()) > 0
	for _, f := range v.fields() {
		fields = append(fields, written{f.name(), w.value(f, masked)})
	}
	return fields
}

// value writes v. masked says that an address in it is not secret.
func (w writer) value(v *value, masked bool) any {
	switch data := v.data.(type) {
	case list:
		items := make([]any, len(data))
		for i, item := range data {
			items[i] = w.value(item, masked)
		}
		return items
	case object:
		return w.object(v)
	case *brokenPart:
		if w.reveal != nil {
			return data.node.written()
		}
		return w.object(v)
	case credential:
		return w.credential(data)
	case time.Duration:
		if data < 0 {
			return v.field.Word
		}
		return duration.Text(data)
	case string:
		if v.field.Kind == Address && !masked && w.reveal == nil {
			return shownAddress(data)
		}
		return data
	default:
		return data
	}
}

func (w writer) credential(c credential) string {
	switch {
	case c.reference != "":
		return c.reference
	case w.reveal == nil:
		return secret.Redacted
	}
	text := w.reveal(c.value)
	if text == secret.Redacted || strings.Contains(text, ":") || variable.MatchString(strings.TrimSpace(text)) { // it would be read as something else
		text = literalPrefix + text
	}
	return text
}

// indented writes v as JSON.
func indented(v any) []byte {
	var compact, b bytes.Buffer
	writeJSON(&compact, v)
	_ = json.Indent(&b, compact.Bytes(), "", "  ") // it is valid
	b.WriteByte('\n')
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case []written:
		b.WriteByte('{')
		for i, f := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, f.name)
			b.WriteByte(':')
			writeJSON(b, f.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v) // text, numbers and flags always can be
		b.Truncate(b.Len() - 1)
	}
}

func yamlNode(v any) *yaml.Node {
	n := &yaml.Node{}
	switch v := v.(type) {
	case []written:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		for _, f := range v {
			n.Content = append(n.Content, yamlNode(f.name), yamlNode(f.value))
		}
	case []any:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		for _, item := range v {
			n.Content = append(n.Content, yamlNode(item))
		}
	default:
		_ = n.Encode(v) // text, numbers and flags always can be
	}
	return n
}
