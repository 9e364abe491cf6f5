package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// Parse reads the JSON form of an event back; Parse(e.JSON()) is the same event, its data byte for byte. The keys id,
// event_type, event_time and data are required, keys it does not know are ignored, and a key that occurs twice is an
// error, as is everything that [New] would refuse. b is not retained. The error is an [*InvalidError].
func Parse(b []byte) (Event, error) {
	if !json.Valid(b) {
		return Event{}, formError("is not valid JSON", "pass what Event.JSON returned")
	}
	if !utf8.Valid(b) {
		return Event{}, formError("is not valid UTF-8", "pass what Event.JSON returned")
	}
	var f parsedForm
	if err := f.read(b); err != nil {
		return Event{}, err
	}
	if err := f.typ.check(); err != nil {
		return Event{}, err
	}
	attrs, cut, err := f.meta.check()
	if err != nil {
		return Event{}, err
	}
	if err := checkData(f.data); err != nil {
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
	typ  Type
	meta Meta
	data []byte

	shortened []string
	test      bool
	seen      [10]bool // by position in formKeys
}

// formKeys are the keys of the JSON form, the required ones first.
func formKeys() [10]string {
	return [...]string{
		"id", "event_type", "event_time", dataField, "test", "tenant", "subject", "source", attributesField, shortenedField,
	}
}

const requiredFormKeys = 4

func (f *parsedForm) read(b []byte) error {
	if b[skip(b, 0, ' ')] != '{' {
		return formError("is not a JSON object", "pass what Event.JSON returned")
	}
	if err := members(b, f.set); err != nil {
		return err
	}
	for i, key := range formKeys() {
		if i < requiredFormKeys && !f.seen[i] {
			return &InvalidError{Field: key, Problem: "is missing", Remedy: "pass what Event.JSON returned"}
		}
	}
	if f.meta.ID == "" {
		return &InvalidError{Field: "id", Problem: "is empty", Remedy: "pass what Event.JSON returned"}
	}
	return nil
}

// set takes one member; name is still quoted.
func (f *parsedForm) set(name, value []byte) (err error) {
	key, err := unquote("form", name)
	if err != nil {
		return err
	}
	keys := formKeys()
	i := slices.Index(keys[:], key)
	if i < 0 {
		return nil
	}
	if f.seen[i] {
		return &InvalidError{Field: key, Problem: "occurs twice", Remedy: "remove one of them"}
	}
	f.seen[i] = true
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
	}
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
	return false, &InvalidError{Field: field, Problem: "is not true or false", Remedy: "pass what Event.JSON returned"}
}

// parseShortened reads the list of shortened fields.
func parseShortened(b []byte) ([]string, error) {
	var names []string
	if b[0] != '[' || json.Unmarshal(b, &names) != nil {
		return nil, &InvalidError{Field: shortenedField, Problem: "is not a list of strings", Remedy: "pass what Event.JSON returned"}
	}
	return names, checkShortened(names)
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

func formError(problem, remedy string) error {
	return &InvalidError{Field: "form", Problem: problem, Remedy: remedy}
}
