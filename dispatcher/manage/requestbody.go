package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// bodyDeadline is how long a request's body may take to arrive.
const bodyDeadline = 10 * time.Second

// readBody reads the body of a request of one of the media types, up to a size. mediaType is the one that it has.
func readBody(w http.ResponseWriter, r *http.Request, most int, mediaTypes ...string) (text []byte, mediaType string, err error) {
	mediaType, _, err = mime.ParseMediaType(r.Header.Get("Content-Type"))
	known := false
	for _, one := range mediaTypes {
		known = known || err == nil && mediaType == one
	}
	if !known {
		return nil, "", newError(codeMediaType, "the Content-Type is not "+strings.Join(mediaTypes, " or "), "set it, and send such a body")
	}
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyDeadline)) // as far as the server can
	text, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
	_ = deadline.SetReadDeadline(time.Time{})
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, "", newError(CodeTooLarge, fmt.Sprintf("the body has more than %d bytes", most), "make it smaller")
	}
	if err != nil {
		return nil, "", newError(codeNotJSON, "the body ended before it was complete", "send all of it")
	}
	return text, mediaType, nil
}

// member is one field of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf lists the fields of an object in their order, repeated ones too.
func membersOf(text []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not an object")
	}
	var all []member
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		m := member{name: name}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// parseObject reads the body of a request as an object without repeated fields.
func parseObject(text []byte) ([]member, error) {
	if !json.Valid(text) {
		e := newError(codeNotJSON, "the body is not JSON", "check commas, quotes and brackets")
		var ignored any
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(text, &ignored), &syntax) {
			line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
			e.Detail = fmt.Sprintf("the body is not JSON: in line %d, %s", line, syntax.Error())
		}
		return nil, e
	}
	all, err := membersOf(text)
	if err != nil {
		return nil, &Error{Code: CodeFields, Fields: []FieldError{{Code: channel.CodeInvalid, Detail: "is not an object", Remedy: "send an object"}}}
	}
	seen := map[string]bool{}
	var wrong []FieldError
	for _, m := range all {
		if seen[m.name] {
			wrong = append(wrong, FieldError{"/" + escapePointer(m.name), channel.CodeDuplicate, "is there twice", "remove one of them", 0, 0})
		}
		seen[m.name] = true
	}
	if wrong != nil {
		return nil, &Error{Code: CodeFields, Fields: wrong}
	}
	return all, nil
}

// decodeInto reads the fields of an object into a struct, and reports everything that does not fit.
func decodeInto(members []member, into any) error {
	v := reflect.ValueOf(into).Elem()
	var wrong []FieldError
	add := func(name string, code channel.ConfigCode, detail, remedy string) {
		wrong = append(wrong, FieldError{"/" + escapePointer(name), code, detail, remedy, 0, 0})
	}
	given := map[string]bool{}
	for _, m := range members {
		given[m.name] = true
		i := fieldIndex(v.Type(), m.name)
		switch {
		case i < 0:
			add(m.name, channel.CodeUnknown, "is not a field", "remove it; known fields are "+strings.Join(fieldNames(v.Type()), ", "))
		case string(m.value) == "null":
			add(m.name, channel.CodeMissing, "has no value", "give one, or leave it out")
		case json.Unmarshal(m.value, v.Field(i).Addr().Interface()) != nil:
			add(m.name, channel.CodeInvalid, "is not "+kindOf(v.Type().Field(i).Type), "write it so")
		}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !strings.Contains(options, "omitempty") && !given[name] {
			add(name, channel.CodeMissing, "is missing", "give it: "+f.Tag.Get("doc"))
		}
	}
	if wrong != nil {
		return &Error{Code: CodeFields, Fields: wrong}
	}
	return nil
}

func fieldIndex(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if own, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); own == name {
			return i
		}
	}
	return -1
}

func fieldNames(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}

// kindOf names what JSON a field takes.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a time such as 2026-01-31T18:00:00Z"
	default:
		return "a whole number"
	}
}
