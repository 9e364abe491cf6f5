package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// The values a template sees are nil, bool, string, json.Number, []any and map[string]any; the machine adds int for
// @index and for lengths.

// isTrue is the truth of if, unless and with: false, null, missing, 0, "" and [] are false, {} is true.
func isTrue(v any) bool {
	if n, ok := v.(json.Number); ok {
		return !isZero(string(n))
	}
	if n, ok := v.(int); ok {
		return n != 0
	}
	return !isEmpty(v)
}

// isEmpty is isTrue's opposite with 0 not empty: handlebars.js treats 0 so in {{#with}} and with includeZero.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// isZero reports whether a JSON number is 0, however it is written.
func isZero(n string) bool {
	for i := 0; i < len(n); i++ {
		switch b := n[i]; {
		case b >= '1' && b <= '9':
			return false
		case b == 'e' || b == 'E':
			return true
		}
	}
	return n != ""
}

// isData reports whether v has one of the types a template can see.
func isData(v any) bool {
	switch v.(type) {
	case nil, bool, string, json.Number, int, []any, map[string]any:
		return true
	}
	return false
}

// member is one step of a path: nothing is reachable but map entries, list elements and lengths.
func (m *machine) member(v any, s *segment) any {
	switch c := v.(type) {
	case map[string]any:
		return c[s.name]
	case []any:
		if s.index >= 0 && s.index < len(c) {
			return c[s.index]
		}
		if s.name == "length" {
			return len(c)
		}
	case string:
		if s.name == "length" && m.countBytes(len(c)) {
			return textLength(c)
		}
	}
	return nil
}

// textLength counts UTF-16 units, as every JavaScript length does.
func textLength(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// listIndex returns the index that a name stands for, -1 when it stands for none: "01" and "-1" are names.
func listIndex(name string) int {
	if name == "" || len(name) > 9 || len(name) > 1 && name[0] == '0' {
		return -1
	}
	n, err := strconv.Atoi(name)
	if err != nil || !isDigit(name[0]) { // +1 and -1 are names too
		return -1
	}
	return n
}

// isLevel reports whether ../ counts a block with the context v in one with the context around. As in handlebars.js it
// does unless they are equal by ==, which compares scalars by value, also a text with a number.
func (m *machine) isLevel(v, around any) bool {
	switch v := v.(type) {
	case map[string]any:
		around, ok := around.(map[string]any)
		return !ok || reflect.ValueOf(v).Pointer() != reflect.ValueOf(around).Pointer()
	case []any:
		around, ok := around.([]any)
		return !ok || len(v) != len(around) || len(v) == 0 || &v[0] != &around[0]
	}
	x, okX := scalarText(v)
	y, okY := scalarText(around)
	switch {
	case !okX || !okY || (v == nil) != (around == nil):
		return true
	case !m.countBytes(min(len(x), len(y))):
		return false
	case v == nil || v == around:
		return false
	}
	_, isText := v.(string)
	_, inText := around.(string)
	return isText && inText || toNumber(v, x) != toNumber(around, y)
}

// toNumber is the number that == of JavaScript makes of a scalar with a text; NaN, which equals nothing, for most
// texts.
func toNumber(v any, text string) float64 {
	if flag, ok := v.(bool); ok {
		if flag {
			return 1
		}
		return 0
	}
	text = strings.TrimFunc(text, isBlank)
	if text == "" {
		return 0
	}
	if len(text) > 64 || strings.Trim(text, "0123456789+-.eE") != "" {
		return math.NaN()
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

// scalarText returns the text of a scalar, false for lists, objects and anything else.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}

// isEqual compares scalars: numbers by value, everything else by its text. Lists and objects equal nothing.
func (m *machine) isEqual(a, b any) bool {
	x, okX := scalarText(a)
	y, okY := scalarText(b)
	if !okX || !okY {
		return false
	}
	if len(x) == len(y) && (!m.countBytes(len(x)) || x == y) {
		return m.err == nil
	}
	if !isNumeric(a) || !isNumeric(b) || len(x) > 64 || len(y) > 64 {
		return false
	}
	p, okP := new(big.Float).SetPrec(256).SetString(x)
	q, okQ := new(big.Float).SetPrec(256).SetString(y)
	return okP && okQ && p.Cmp(q) == 0
}

func isNumeric(v any) bool {
	switch v.(type) {
	case json.Number, int:
		return true
	}
	return false
}

// isNumber reports whether s is a JSON number. A json.Number can hold any text; only numbers are written unescaped.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || isDigit(s[0])) && isDigit(s[len(s)-1]) && json.Valid([]byte(s))
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isAlphanumeric(b byte) bool { return isLetter(b) || isDigit(b) }

// sortedKeys returns the keys of m in byte order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

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
