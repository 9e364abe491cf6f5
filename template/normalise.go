package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Normalise turns a Go value into the data a template can see: nil, bool, string, json.Number, []any and
// map[string]any. It follows encoding/json: json tags, omitempty, embedded structs, json.Marshaler, time.Time, []byte
// as base64; numbers keep their digits. Cycles, data nested deeper than 64 levels, functions, channels, NaN and
// infinities are a *DataError. The result shares nothing with v.
func Normalise(v any) (any, error) {
	switch v.(type) {
	case nil, bool, string:
		return v, nil
	}
	encoded, err := marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, &DataError{Reason: "its JSON form cannot be read back", Err: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &DataError{Reason: "its JSON form is more than one value"}
	}
	if deeper(tree, maxDataDepth) {
		return nil, &DataError{Reason: fmt.Sprintf("it is nested deeper than %d levels", maxDataDepth)}
	}
	return tree, nil
}

func marshal(v any) (encoded []byte, err error) {
	defer func() {
		if recover() != nil {
			err = &DataError{Reason: "its MarshalJSON method panicked"}
		}
	}()
	encoded, err = json.Marshal(v)
	if err == nil {
		return encoded, nil
	}
	reason := "it cannot be written as JSON"
	var unsupported *json.UnsupportedTypeError
	if errors.As(err, &unsupported) {
		reason = "it holds a " + unsupported.Type.Kind().String() + ", which is not data"
	}
	var value *json.UnsupportedValueError
	if errors.As(err, &value) {
		reason = "it holds a cycle, NaN or an infinity"
	}
	return nil, &DataError{Reason: reason, Err: err}
}

// deeper reports whether a tree has more than the given levels of lists and objects.
func deeper(v any, levels int) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if levels == 0 || deeper(e, levels-1) {
				return true
			}
		}
		return levels == 0
	case map[string]any:
		for _, e := range v {
			if levels == 0 || deeper(e, levels-1) {
				return true
			}
		}
		return levels == 0
	}
	return false
}

// DataError reports a value that cannot be data for a template. Its text holds nothing of the value.
type DataError struct {
	Reason string
	Err    error // the cause, or nil; its text may hold data
}

// Error implements error.
func (e *DataError) Error() string { return "template data: " + e.Reason }

// Unwrap returns the cause, or nil.
func (e *DataError) Unwrap() error { return e.Err }
