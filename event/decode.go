package event

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

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
