package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
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

// encodePayload returns the JSON of p, not HTML-escaped and with its capacity clipped, and the names of texts that were
// cut.
func encodePayload(p Payload) (json.RawMessage, []string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, nil, encodeError(err)
	}
	data := bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
	if !utf8.Valid(data) { // a json.Marshaler's own
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	data = replaceSurrogates(data)
	if err := validateShape(data); err != nil {
		return nil, nil, err
	}
	if len(data) <= MaxDataSize {
		return slices.Clip(data), nil, nil
	}
	short, names, ok := shortenTexts(data, MaxDataSize)
	if !ok {
		return nil, nil, validateSize(data)
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

// validateData validates bytes that are known to be JSON.
func validateData(data []byte) error {
	if err := validateShape(data); err != nil {
		return err
	}
	return validateSize(data)
}

func validateShape(data []byte) error {
	switch {
	case len(data) == 0 || data[0] != '{':
		return &InvalidError{Field: "data", Problem: "is not a JSON object", Remedy: "use a struct or a map as the payload"}
	case tooDeep(data):
		return &InvalidError{Field: "data", Problem: "is nested deeper than 1000 levels", Remedy: "flatten it"}
	}
	return nil
}

func validateSize(data []byte) error {
	if len(data) > MaxDataSize {
		return &InvalidError{
			Field:   "data",
			Problem: "is larger than 256 KiB, which shortening its texts does not change",
			Remedy:  "leave out list entries or fields, or send a link to the details",
		}
	}
	return nil
}

// isNil reports whether p is nil or a nil pointer.
func isNil(p Payload) bool {
	if p == nil {
		return true
	}
	v := reflect.ValueOf(p)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// Decode returns the payload of e as a T, for example Decode[RequestApproved](e). It is an [*InvalidError] when e is of
// another type (switch on [Event.Type] first) or when its data does not fit T. Unknown fields are ignored. T is a
// concrete type or a pointer to one.
func Decode[T Payload](e Event) (payload T, err error) {
	defer func() {
		if recover() != nil {
			// The panic's value may quote the payload.
			err = decodeProblem[T]("made it panic while decoding")
		}
		if err != nil {
			var none T
			payload = none
		}
	}()
	if e.p == nil {
		return payload, &InvalidError{Field: "event", Problem: "is zero", Remedy: "check Event.IsZero first"}
	}
	goType := reflect.TypeFor[T]()
	switch goType.Kind() {
	case reflect.Interface:
		return payload, decodeProblem[T]("cannot be decoded into an interface")
	case reflect.Pointer:
		payload = reflect.New(goType.Elem()).Interface().(T)
	}
	if want := payload.EventType(); want != e.p.typ {
		return payload, &InvalidError{
			Field:   "type",
			Problem: "is " + string(e.p.typ) + ", not " + string(want),
			Remedy:  "switch on Event.Type before decoding",
		}
	}
	if err := json.Unmarshal(e.p.data, &payload); err != nil {
		return payload, decodeError[T](err)
	}
	return payload, nil
}

// decodeError drops the text of err, which may quote the payload, and keeps what can be said safely.
func decodeError[T Payload](err error) error {
	if ours := (*InvalidError)(nil); errors.As(err, &ours) {
		return ours
	}
	if ute := (*json.UnmarshalTypeError)(nil); errors.As(err, &ute) {
		return &InvalidError{
			Field:   strings.TrimSuffix("data."+ute.Field, "."),
			Problem: "does not fit the Go type " + ute.Type.String(),
			Remedy:  "compare it with event.Schema",
		}
	}
	return decodeProblem[T]("cannot be decoded")
}

func decodeProblem[T Payload](problem string) error {
	return &InvalidError{
		Field:   "data",
		Problem: problem,
		Remedy:  "check " + reflect.TypeFor[T]().String() + " with json.Unmarshal in a test",
	}
}
