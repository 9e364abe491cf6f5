package secret

import (
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A receiver that quotes what it was sent in JSON and sends that back in a form, for example.
func TestAValueIsFoundInAnyMixtureOfTwoEncodings(t *testing.T) {
	t.Parallel()
	// Values of the characters that mean something in one of the encodings, so that most of them hold escapes themselves.
	pieces := []string{" ", "+", "%", "%2", "%41", "%25", `\`, `\n`, `\u0041`, `"`, "'", "&", "&amp;", "&#65;", ";", "<", "/", "=", "é", "\U0001F511", "a", "Z", "0", "7f", "-", "_", "word"}
	names := slices.Sorted(maps.Keys(encodings))
	random := rand.New(rand.NewPCG(1, 2))
	for range 800 {
		value := ""
		for len(value) < 12 || random.IntN(6) > 0 {
			value += pieces[random.IntN(len(pieces))]
		}
		first, second := names[random.IntN(len(names))], names[random.IntN(len(names))]
		if strings.HasPrefix(first, "UTF-16") && !opaque(second) {
			continue // it is no text, which is lost in escapes
		}
		if moreThanTwo(first) || moreThanTwo(second) || opaque(second) && !usual(first) {
			continue
		}
		inner := encodings[first](value)
		text := "before " + encodings[second](inner) + " after"
		got := NewRedactor(value).String(text)
		require.Contains(t, got, Redacted, "%q, %s, then %s: %q", value, first, second, text)
	}
}

// moreThanTwo tells whether an encoding is one of two or more itself.
func moreThanTwo(name string) bool {
	return strings.Contains(name, "twice") || strings.Contains(name, "3 times") || strings.Contains(name, " in ") || name == "base64 escaped"
}

// opaque tells whether nothing of a text can be seen in an encoding of it.
func opaque(name string) bool {
	return strings.HasPrefix(name, "base64") || strings.HasPrefix(name, "hex") || strings.HasPrefix(name, "UTF-16")
}

// usual tells whether an encoding is found under an opaque one.
func usual(name string) bool {
	return slices.Contains([]string{"raw", "query-escaped", "path-escaped", "JSON", "JSON without HTML", "HTML"}, name)
}

func TestAFormOfJSONIsSearchedAsBoth(t *testing.T) {
	t.Parallel()
	const value = `pa ss+wo"rd and+more`
	got := NewRedactor(value).String("body=" + url.QueryEscape(jsonText(value, true)) + "&x=1")
	assert.Equal(t, "body=%22"+Redacted+"%22&x=1", got)
}
