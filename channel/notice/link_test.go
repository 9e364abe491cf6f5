package notice

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

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
