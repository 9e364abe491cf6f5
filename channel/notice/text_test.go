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
	assert.Empty(t, TruncateBytes("€€", 2), "the ellipsis alone is longer")
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
			case tc.got != "" && tc.got != s && !strings.HasPrefix(s, strings.TrimSuffix(tc.got, ellipsis)):
				t.Errorf("%s: %q is not the beginning of %q", name, tc.got, s)
			case !utf8.ValidString(tc.got):
				t.Errorf("%s: %q is cut within a rune", name, tc.got)
			}
		}
	})
}

func TestLinksThatMayBeClicked(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://access.example.com/requests/AR-2047":       "https://access.example.com/requests/AR-2047",
		"http://10.1.2.3:8080/x?y=z#frag":                   "http://10.1.2.3:8080/x?y=z#frag",
		"HTTPS://Access.Example.com":                        "https://Access.Example.com",
		"https://[2001:db8::1]/x":                           "https://[2001:db8::1]/x",
		"https://h.example/é/<b>?q=\"a|b>\"&u=ü#`{x}`":      "https://h.example/%C3%A9/%3Cb%3E?q=%22a%7Cb%3E%22&u=%C3%BC#%60%7Bx%7D%60",
		"https://h.example/a%20b?c=%2F%zz":                  "https://h.example/a%20b?c=%2F%zz",
		"https://h.example/" + strings.Repeat("a", 2048-18): "https://h.example/" + strings.Repeat("a", 2048-18),
	} {
		assert.Equal(t, want, link(raw), raw)
		if want != "" {
			checkLink(t, want)
		}
	}
}

func TestLinksThatMayNotBeClicked(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "x", "/requests/1", "//h.example/x", "https://", "https:///x", "https:h.example", "https://:443/",
		"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://h.example", "slack://open", "mailto:a@b.example",
		"https://user@h.example/", "https://user:pw@h.example/", "https://@h.example/", "https://h.example@evil.example/",
		"https://h.example/a b", "https://h.example/\x00", "https://h.example/\n", "\thttps://h.example/", "https://h.example/\x7f", "https://h.example\\@evil.example",
		"https://h.example/\u202egpj.exe", "https://h.example/\u200b", "https://h.example/\xff", "https://h.example/\u2066x\u2069",
		"https://bücher.example/", "https://ex\u0430mple.com/", "https://h_.example%2f/", "https://[fe80::1%25lo]/", "https://h.example:/", "https://h.example:0/",
		"https://h.example:99999/", "https://h.example:x/", "https://[::1/", "https://h.example/%zz\u0000",
		"https://h.example/" + strings.Repeat("a", 2049-18), "https://h.example/" + strings.Repeat("é", 400),
	} {
		assert.Empty(t, link(raw), raw)
	}
}
