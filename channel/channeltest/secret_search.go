package channeltest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// minSecret is the shortest planted secret that is not found by chance.
const minSecret = 8

// forms returns the encodings in which a secret may come out, by name.
func forms(secret string) map[string]string {
	quoted, _ := json.Marshal(secret) // a string can always be marshalled
	found := map[string]string{
		"as it is":               secret,
		"query-escaped":          url.QueryEscape(secret),
		"path-escaped":           url.PathEscape(secret),
		"in JSON":                string(quoted[1 : len(quoted)-1]),
		"in HTML":                html.EscapeString(secret),
		"in hexadecimal":         hex.EncodeToString([]byte(secret)),
		"in capital hexadecimal": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"as a list of numbers":   strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
	}
	for shift := range 3 {
		found[fmt.Sprintf("in base64, shifted by %d", shift)] = inBase64(base64.RawStdEncoding, secret, shift)
		found[fmt.Sprintf("in base64 for URLs, shifted by %d", shift)] = inBase64(base64.RawURLEncoding, secret, shift)
	}
	return found
}

// findSecret returns the name of an encoding in which secret is in one of texts, or "".
func findSecret(secret string, texts []string) string {
	all := forms(secret)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, text := range texts {
			if strings.Contains(text, all[name]) {
				return name
			}
		}
	}
	return ""
}

// inBase64 returns the part that is certain in the encoding of a longer text in which secret begins at a position that
// leaves the remainder shift when divided by 3: "user:password" is the case that matters.
func inBase64(enc *base64.Encoding, secret string, shift int) string {
	text := enc.EncodeToString(append(make([]byte, shift), secret...))
	return text[(shift*8+5)/6 : (shift+len(secret))*8/6]
}

// printValue prints v in the ways that programs and logs do.
func printValue(v any) []string {
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if j, err := json.Marshal(v); err == nil {
		texts = append(texts, string(j))
	}
	return texts
}

// printCopies prints v, what it points to and copies of that, by themselves and inside of other values, exported and
// not: a host embeds a channel, logs it by value, or keeps it in a struct of its own, where package fmt does not ask
// its methods.
func printCopies(v any) []string {
	texts := printValue(v)
	if v == nil {
		return texts
	}
	inner := reflect.ValueOf(v)
	for range 3 { // a pointer to an interface to a pointer, at most
		if inner.Kind() != reflect.Pointer && inner.Kind() != reflect.Interface || inner.IsNil() {
			break
		}
		inner = inner.Elem()
		if inner.CanInterface() {
			v = inner.Interface()
			texts = append(texts, printHolders(v)...)
			texts = append(texts, printValue(v)...)
		}
	}
	return append(texts, printHolders(v)...)
}

// printHolders prints structs, lists and maps that hold v.
func printHolders(v any) []string {
	type exported struct{ Inner any }
	type unexported struct{ inner any }
	type embedding struct{ exported }
	t := reflect.TypeOf(v)
	typed := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Open", Type: t}, {Name: "hidden", PkgPath: "example.com/host", Type: t},
	})).Elem()
	typed.Field(0).Set(reflect.ValueOf(v))
	hidden := typed.Field(1) // which only package unsafe can set, as a host's own code sets its own
	reflect.NewAt(t, unsafe.Pointer(hidden.UnsafeAddr())).Elem().Set(reflect.ValueOf(v))
	var texts []string
	for _, holder := range []any{
		exported{v}, unexported{v}, &unexported{v}, embedding{exported{v}}, []any{v}, map[string]any{"k": v},
		typed.Interface(), typed.Addr().Interface(), unexported{&v}, [1]unexported{{v}}, struct{ list []any }{[]any{v}},
	} {
		texts = append(texts, printValue(holder)...)
	}
	return texts
}

// printError prints err and every error it wraps: a caller may log each of them.
func printError(err error) []string {
	if err == nil {
		return nil
	}
	texts := append(printValue(err), err.Error())
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() error }:
		texts = append(texts, printError(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			texts = append(texts, printError(wrapped)...)
		}
	}
	return texts
}
