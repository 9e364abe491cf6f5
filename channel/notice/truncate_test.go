package notice

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""}, {"", 5, ""}, {"abc", 0, ""}, {"abc", -1, ""},
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 1, "…"},
		{"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"},
		{"😀😀😀", 2, "😀…"},
		{"ab cd", 4, "ab…"},
		{"abe\u0301\u0301d", 4, "ab…"}, // an accent stays with its letter, or both go
		{"a👩\u200d👧b", 3, "a…"},        // joined emoji
		{"a👍🏽b", 3, "a…"},              // with a skin tone
		{"a👩\u200d👧", 4, "a👩\u200d👧"},  // fits
	} {
		assert.Equal(t, tc.want, Truncate(tc.text, tc.limit), "%q to %d", tc.text, tc.limit)
	}
}

func TestTruncateByOtherMeasures(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "€€", TruncateBytes("€€", 6))
	assert.Equal(t, "€…", TruncateBytes("€€€", 8))
	assert.Empty(t, TruncateBytes("€€", 2), "the mark alone is longer")
	assert.Equal(t, "😀😀", TruncateUTF16("😀😀", 4))
	assert.Equal(t, "😀…", TruncateUTF16("😀😀", 3))
	assert.Equal(t, "…", TruncateUTF16("😀😀", 2))
}

func FuzzTruncate(f *testing.F) {
	f.Add("", 0)
	f.Add("ab 👩‍👧 e\u0301 😀 €", 7)
	f.Add(strings.Repeat("x\u0301", 30), 12)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		s = strings.ToValidUTF8(s, "\ufffd")
		for name, tc := range map[string]struct {
			got  string
			size func(string) int
		}{
			"runes":  {Truncate(s, limit), utf8.RuneCountInString},
			"bytes":  {TruncateBytes(s, limit), func(s string) int { return len(s) }},
			"UTF-16": {TruncateUTF16(s, limit), func(s string) int { return len(utf16.Encode([]rune(s))) }},
		} {
			switch {
			case tc.size(s) <= limit && tc.got != s:
				t.Errorf("%s: %q was cut to %q, although it fits %d", name, s, tc.got, limit)
			case tc.size(tc.got) > max(limit, 0):
				t.Errorf("%s: %q is longer than %d", name, tc.got, limit)
			case tc.got != "" && tc.got != s && !strings.HasPrefix(s, strings.TrimSuffix(tc.got, mark)):
				t.Errorf("%s: %q is not the beginning of %q", name, tc.got, s)
			case !utf8.ValidString(tc.got):
				t.Errorf("%s: %q is cut within a rune", name, tc.got)
			}
		}
	})
}
