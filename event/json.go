package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
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

func (s *shared) buildForm() {
	b := make([]byte, 0, 256+len(s.data))
	b = append(b, `{"id":`...)
	b = appendText(b, s.meta.ID)
	b = append(b, `,"event_type":`...)
	b = appendText(b, string(s.typ))
	b = append(b, `,"event_time":`...)
	b = appendEpoch(b, s.meta.Time)
	if s.test {
		b = append(b, `,"test":true`...)
	}
	b = appendOptional(b, "tenant", s.meta.Tenant)
	b = appendOptional(b, "subject", s.meta.Subject)
	b = appendOptional(b, "source", s.meta.Source)
	if len(s.attrs) > 0 {
		before := `,"attributes":{`
		for _, a := range s.attrs {
			b = appendText(append(b, before...), a.name)
			b = appendText(append(b, ':'), a.value)
			before = ","
		}
		b = append(b, '}')
	}
	if len(s.shortened) > 0 {
		before := `,"shortened":[`
		for _, name := range s.shortened {
			b = appendText(append(b, before...), name)
			before = ","
		}
		b = append(b, ']')
	}
	b = append(b, `,"data":`...)
	b = append(b, s.data...)
	s.form = slices.Clip(append(b, '}'))
}

func appendOptional(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	return appendText(b, value)
}

// appendText appends s, which is valid UTF-8, as a JSON string.
func appendText(b []byte, s string) []byte {
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
// removes blanks and escapes <, > and &), so to keep the bytes of an event, store JSON() itself and not a struct that
// holds an Event.
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

func (s *shared) buildTree() {
	s.formOnce.Do(s.buildForm)
	dec := json.NewDecoder(bytes.NewReader(s.form))
	dec.UseNumber()
	_ = dec.Decode(&s.tree) // cannot fail: the form is a JSON object, and not too deep
}

// Parse reads the JSON form of an event back; Parse(e.JSON()) is the same event, its data byte for byte. The keys id,
// event_type, event_time and data are required, keys it does not know are ignored, and a key that occurs twice is an
// error, as is everything that [New] would refuse. b is not retained. The error is an [*InvalidError].
func Parse(b []byte) (Event, error) {
	if !json.Valid(b) {
		return Event{}, formError("is not valid JSON")
	}
	if !utf8.Valid(b) {
		return Event{}, formError("is not valid UTF-8")
	}
	f := parsedForm{seen: map[string]bool{}}
	if err := f.read(b); err != nil {
		return Event{}, err
	}
	if err := f.typ.validate(); err != nil {
		return Event{}, err
	}
	attrs, cut, err := f.meta.validate()
	if err != nil {
		return Event{}, err
	}
	if err := validateData(f.data); err != nil {
		return Event{}, err
	}
	data := replaceSurrogates(bytes.Clone(f.data))
	return newEvent(content{
		typ: f.typ, meta: f.meta, attrs: attrs, data: data, shortened: mergeNames(f.shortened, cut), test: f.test,
	}), nil
}

// UnmarshalJSON is [Parse]; null leaves e unchanged.
func (e *Event) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	parsed, err := Parse(b)
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}

// parsedForm collects the members of an event's JSON form.
type parsedForm struct {
	typ       Type
	meta      Meta
	data      []byte
	shortened []string
	test      bool

	seen map[string]bool // the keys that were set
}

func (f *parsedForm) read(b []byte) error {
	if b[skip(b, 0, ' ')] != '{' {
		return formError("is not a JSON object")
	}
	if err := members(b, f.set); err != nil {
		return err
	}
	for _, key := range [...]string{"id", "event_type", "event_time", dataField} {
		if !f.seen[key] {
			return &InvalidError{Field: key, Problem: "is missing", Remedy: formRemedy}
		}
	}
	if f.meta.ID == "" {
		return &InvalidError{Field: "id", Problem: "is empty", Remedy: formRemedy}
	}
	return nil
}

// set reads one member; name is still quoted.
func (f *parsedForm) set(name, value []byte) error {
	key, err := unquote("form", name)
	if err != nil {
		return err
	}
	if f.seen[key] {
		return &InvalidError{Field: key, Problem: "occurs twice", Remedy: "remove one of them"}
	}
	switch key {
	case "id":
		f.meta.ID, err = unquote(key, value)
	case "event_type":
		var s string
		s, err = unquote(key, value)
		f.typ = Type(s)
	case "event_time":
		f.meta.Time, err = parseEpoch(key, string(value))
	case "tenant":
		f.meta.Tenant, err = unquote(key, value)
	case "subject":
		f.meta.Subject, err = unquote(key, value)
	case "source":
		f.meta.Source, err = unquote(key, value)
	case "test":
		f.test, err = parseBool(key, value)
	case shortenedField:
		f.shortened, err = parseShortened(value)
	case attributesField:
		f.meta.Attributes, err = parseAttributes(value)
	case dataField:
		f.data = value
	default:
		return nil // a key of a later version
	}
	f.seen[key] = true
	return err
}

func parseAttributes(b []byte) (map[string]string, error) {
	if b[0] != '{' {
		return nil, &InvalidError{Field: "attributes", Problem: "are not a JSON object", Remedy: "write names and strings"}
	}
	all := make(map[string]string)
	err := members(b, func(name, value []byte) error {
		n, err := unquote("attributes", name)
		if err != nil {
			return err
		}
		if _, twice := all[n]; twice {
			return &InvalidError{Field: "attributes", Problem: "have a name that occurs twice", Remedy: "remove one of them"}
		}
		all[n], err = unquote("attributes", value)
		return err
	})
	return all, err
}

func parseBool(field string, b []byte) (bool, error) {
	switch string(b) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &InvalidError{Field: field, Problem: "is not true or false", Remedy: formRemedy}
}

// parseShortened reads the list of shortened fields.
func parseShortened(b []byte) ([]string, error) {
	var names []string
	if b[0] != '[' || json.Unmarshal(b, &names) != nil {
		return nil, &InvalidError{Field: shortenedField, Problem: "is not a list of strings", Remedy: formRemedy}
	}
	if len(names) > maxShortened {
		return nil, &InvalidError{Field: shortenedField, Problem: "are more than 16", Remedy: formRemedy}
	}
	if slices.ContainsFunc(names, func(s string) bool { return s == "" || len(s) > maxShortenedName }) {
		return nil, &InvalidError{Field: shortenedField, Problem: "have a name that is not 1 to 128 bytes long", Remedy: formRemedy}
	}
	return names, nil
}

// unquote returns the text of the JSON string b.
func unquote(field string, b []byte) (string, error) {
	if b[0] != '"' {
		return "", &InvalidError{Field: field, Problem: "is not a string", Remedy: "quote it"}
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1]), nil
	}
	var s string
	err := json.Unmarshal(b, &s) // cannot fail, b is a valid JSON string
	return s, err
}

const formRemedy = "pass what Event.JSON returned"

func formError(problem string) error {
	return &InvalidError{Field: "form", Problem: problem, Remedy: formRemedy}
}

// The functions from here on read bytes that are known to be one valid JSON value.

// tooDeep reports whether the value b is nested deeper than maxDepth.
func tooDeep(b []byte) bool {
	if bytes.Count(b, []byte{'{'})+bytes.Count(b, []byte{'['}) <= maxDepth {
		return false // the usual case, without looking at every byte
	}
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// stringEnd returns the index after the string that begins at b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the index after the value that begins at b[i].
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		if depth == 0 && (b[i] == '"' || b[i] == '}' || b[i] == ']') {
			return i + 1
		}
	}
	return i
}

// skip returns the index of the first byte from i on that is neither a blank nor c.
func skip(b []byte, i int, c byte) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' || b[i] == c) {
		i++
	}
	return i
}

// members calls f with the name, still quoted, and the value of each member of the object b, until f returns an error.
func members(b []byte, f func(name, value []byte) error) error {
	i := skip(b, 0, '{')
	for b[i] != '}' {
		end := stringEnd(b, i)
		name := b[i:end]
		i = skip(b, end, ':')
		end = valueEnd(b, i)
		if err := f(name, b[i:end]); err != nil {
			return err
		}
		i = skip(b, end, ',')
	}
	return nil
}
