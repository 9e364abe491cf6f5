package config

import (
	"bytes"
	"encoding/json"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// written is a field in the form in which both formats show it.
type written struct {
	name  string
	value any // string, bool, int, []any or []written
}

// show turns an object into what is shown of it.
func (v *value) show() []written {
	fields := []written{}
	masked := len(v.masked()) > 0
	for _, f := range v.table {
		if inner := v.fields[f.Name]; inner != nil {
			fields = append(fields, written{f.Name, inner.shown(masked)})
		}
	}
	return fields
}

// masked lists the masks of an object.
func (v *value) masked() []*value {
	for _, f := range v.table {
		if inner := v.fields[f.Name]; f.Kind == Masks && inner != nil {
			return inner.items
		}
	}
	return nil
}

func (v *value) shown(masked bool) any {
	switch {
	case v.items != nil:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = item.shown(masked)
		}
		return items
	case v.table != nil:
		return v.show()
	}
	switch data := v.data.(type) {
	case credential:
		if data.reference != "" {
			return data.reference
		}
		return secret.Redacted
	case time.Duration:
		if data < 0 {
			return v.field.Word
		}
		return writeDuration(data)
	case string:
		if v.field.Kind == Address && !masked {
			return shownAddress(data)
		}
		return data
	default:
		return data
	}
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
