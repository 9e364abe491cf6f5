package event

import (
	"bytes"
	"encoding/json"
	"slices"
)

// JSON returns the whole event as JSON, with these keys in this order: id, event_type, event_time (epoch seconds with
// nine fraction digits), test (true), tenant, subject, source, attributes, shortened (a list of fields), data. Tenant,
// subject, source and attributes are left out when empty, test for what is no test, and shortened for what is complete.
// It is the default webhook body and the root that templates see. It is built once, on the first call, and shared: it
// must not be modified; appending to it copies it. Data is in it byte for byte. The zero Event has none.
func (e Event) JSON() json.RawMessage {
	if e.p == nil {
		return nil
	}
	e.p.formOnce.Do(e.p.buildForm)
	return e.p.form
}

func (f *facts) buildForm() {
	b := make([]byte, 0, 256+len(f.data))
	b = append(b, `{"id":`...)
	b = appendString(b, f.meta.ID)
	b = append(b, `,"event_type":`...)
	b = appendString(b, string(f.typ))
	b = append(b, `,"event_time":`...)
	b = appendEpoch(b, f.meta.Time)
	if f.test {
		b = append(b, `,"test":true`...)
	}
	b = appendOptional(b, "tenant", f.meta.Tenant)
	b = appendOptional(b, "subject", f.meta.Subject)
	b = appendOptional(b, "source", f.meta.Source)
	for i, a := range f.attrs {
		if i == 0 {
			b = append(b, `,"attributes":{`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, a.name)
		b = append(b, ':')
		b = appendString(b, a.value)
	}
	if len(f.attrs) > 0 {
		b = append(b, '}')
	}
	for i, name := range f.shortened {
		if i == 0 {
			b = append(b, `,"shortened":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, name)
	}
	if len(f.shortened) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"data":`...)
	b = append(b, f.data...)
	b = append(b, '}')
	f.form = slices.Clip(b)
}

func appendOptional(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	return appendString(b, value)
}

// appendString appends s, which is valid UTF-8, as a JSON string.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// MarshalJSON returns [Event.JSON], or null for the zero Event. encoding/json rewrites what it gets from here (it
// removes blanks and escapes <, > and &), so whoever has to keep the bytes of an event carries JSON() itself and not a
// struct that holds an Event.
func (e Event) MarshalJSON() ([]byte, error) {
	if e.p == nil {
		return []byte("null"), nil
	}
	return bytes.Clone(e.JSON()), nil
}

// Decoded returns the JSON form as decoded values, for templates: objects are map[string]any, lists []any, numbers
// json.Number so that no digit is lost. It is built once, on the first call, and shared: it must not be modified.
// The zero Event has none.
func (e Event) Decoded() map[string]any {
	if e.p == nil {
		return nil
	}
	e.p.treeOnce.Do(e.p.buildTree)
	return e.p.tree
}

func (f *facts) buildTree() {
	var data map[string]any
	dec := json.NewDecoder(bytes.NewReader(f.data))
	dec.UseNumber()
	_ = dec.Decode(&data) // cannot fail: data is known to be a JSON object, and not too deep
	f.tree = map[string]any{
		"id":         f.meta.ID,
		"event_type": string(f.typ),
		"event_time": json.Number(appendEpoch(nil, f.meta.Time)),
		dataField:    data,
	}
	for _, o := range [...]attribute{{"tenant", f.meta.Tenant}, {"subject", f.meta.Subject}, {"source", f.meta.Source}} {
		if o.value != "" {
			f.tree[o.name] = o.value
		}
	}
	if f.test {
		f.tree["test"] = true
	}
	if len(f.shortened) > 0 {
		names := make([]any, len(f.shortened))
		for i, name := range f.shortened {
			names[i] = name
		}
		f.tree[shortenedField] = names
	}
	if len(f.attrs) > 0 {
		attrs := make(map[string]any, len(f.attrs))
		for _, a := range f.attrs {
			attrs[a.name] = a.value
		}
		f.tree[attributesField] = attrs
	}
}
