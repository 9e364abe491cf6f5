package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Payload is one lifecycle fact, for example [RequestApproved]. It must encode to a JSON object; its fields should only
// ever be added to, because receivers rely on them.
type Payload interface {
	// EventType is constant for the Go type: it must not depend on the value.
	EventType() Type
}

// Subjecter is optionally implemented by a payload that knows what it is about. [New] uses the answer when
// [Meta].Subject is empty.
type Subjecter interface{ EventSubject() string }

// Attributer is optionally implemented by a payload that brings attributes along. An attribute of the same name in
// [Meta].Attributes wins.
type Attributer interface{ EventAttributes() map[string]string }

// MaxDataSize is the largest encoded payload of an event, in bytes. [New] cuts the longest texts of a larger one.
const MaxDataSize = 256 << 10

// maxDepth bounds the nesting of a payload, so that everything New accepts can be parsed again and so that code which
// walks the decoded form may recurse.
const maxDepth = 1000

// encode returns the JSON of p, not HTML-escaped and with its capacity clipped, and the names of texts that were cut.
func encode(p Payload) (json.RawMessage, []string, error) {
	var out lineSink
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, nil, encodeError(err)
	}
	data := []byte(out)
	if !utf8.Valid(data) { // a json.Marshaler's own
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	data = replaceSurrogates(data)
	if err := checkShape(data); err != nil {
		return nil, nil, err
	}
	if len(data) <= MaxDataSize {
		return data, nil, nil
	}
	short, names, ok := shortenTexts(data, MaxDataSize)
	if !ok {
		return nil, nil, checkSize(data)
	}
	return short, names, nil
}

// encodeError drops the text of err, which may quote the payload, and keeps what can be said safely.
func encodeError(err error) error {
	if ute := (*json.UnsupportedTypeError)(nil); errors.As(err, &ute) {
		return &InvalidError{Field: "payload", Problem: "holds a " + ute.Type.String(), Remedy: "use types that JSON can express"}
	}
	return &InvalidError{
		Field:   "payload",
		Problem: "cannot be encoded as JSON",
		Remedy:  "call json.Marshal on it in a test to see why",
	}
}

// checkData checks bytes that are known to be valid JSON.
func checkData(data []byte) error {
	if err := checkShape(data); err != nil {
		return err
	}
	return checkSize(data)
}

func checkShape(data []byte) error {
	switch {
	case len(data) == 0 || data[0] != '{':
		return &InvalidError{Field: "data", Problem: "is not a JSON object", Remedy: "use a struct or a map as the payload"}
	case tooDeep(data):
		return &InvalidError{Field: "data", Problem: "is nested deeper than 1000 levels", Remedy: "flatten it"}
	}
	return nil
}

func checkSize(data []byte) error {
	if len(data) > MaxDataSize {
		return &InvalidError{
			Field:   "data",
			Problem: "is larger than 256 KiB, which shortening its texts does not change",
			Remedy:  "leave out list entries or fields, or send a link to the details",
		}
	}
	return nil
}

// lineSink keeps the one line that a json.Encoder writes, without its line feed and without spare capacity.
type lineSink []byte

func (s *lineSink) Write(p []byte) (int, error) {
	*s = slices.Clip(append(*s, p[:len(p)-1]...))
	return len(p), nil
}

// isNil tells whether p is nil or a nil pointer.
func isNil(p Payload) bool {
	if p == nil {
		return true
	}
	v := reflect.ValueOf(p)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
