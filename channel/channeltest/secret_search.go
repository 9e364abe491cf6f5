package channeltest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the shortest planted secret that is not found by chance.
const minSecret = 8

// forms returns the encodings in which a secret may come out, by name.
func forms(secret string) map[string]string {
	quoted, _ := json.Marshal(secret) // a string can always be marshalled
	found := map[string]string{
		"as it is":             secret,
		"query-escaped":        url.QueryEscape(secret),
		"path-escaped":         url.PathEscape(secret),
		"in JSON":              string(quoted[1 : len(quoted)-1]),
		"in HTML":              html.EscapeString(secret),
		"in hexadecimal":       hex.EncodeToString([]byte(secret)),
		"as a list of numbers": strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
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
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if j, err := json.Marshal(v); err == nil {
		texts = append(texts, string(j))
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
