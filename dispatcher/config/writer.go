package config

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tocsin-go/tocsin/channel/secret"
)

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
	for _, f := range v.fields {
		fields = append(fields, written{f.name(), w.value(f, masked)})
	}
	return fields
}

// masked lists the masks of an object.
func (v *value) masked() []*value {
	if v == nil {
		return nil
	}
	for _, f := range v.fields {
		if f.field.Kind == Masks {
			return f.items
		}
	}
	return nil
}

// value writes v. masked says that an address in it is not secret.
func (w writer) value(v *value, masked bool) any {
	switch {
	case v.items != nil:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = w.value(item, masked)
		}
		return items
	case v.table != nil:
		return w.object(v)
	}
	switch data := v.data.(type) {
	case credential:
		return w.credential(data)
	case time.Duration:
		if data < 0 {
			return v.field.Word
		}
		return writeDuration(data)
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

// revealer reads secrets for a writer, and keeps the first error.
type revealer struct {
	ctx context.Context //nolint:containedctx // for one call
	err error
}

func (r *revealer) reveal(v secret.Value) string {
	text, err := v.Reveal(r.ctx)
	if err != nil && r.err == nil {
		r.err = err
	}
	return text
}
