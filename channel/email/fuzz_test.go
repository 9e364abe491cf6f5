package email_test

import (
	"bytes"
	"mime"
	netmail "net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tocsin-go/tocsin/channel/email"
)

// An address that is accepted is one that every reader takes for one, and stays as it is when it is read again.
func FuzzParseAddress(f *testing.F) {
	for _, bad := range badAddresses {
		f.Add(bad)
	}
	f.Add("jo@bücher.example")
	f.Fuzz(func(t *testing.T, raw string) {
		address, problem := email.ParseAddress(raw)
		if (address == "") != (problem != "") {
			t.Fatalf("%q: address %q, problem %q", raw, address, problem)
		}
		if problem != "" {
			return
		}
		for _, r := range address {
			if r <= ' ' || r > '~' || strings.ContainsRune(`<>()[]:;,\"`, r) {
				t.Fatalf("%q: %q holds %q", raw, address, r)
			}
		}
		if strings.Count(address, "@") != 1 || len(address) > 254 {
			t.Fatalf("%q became %q", raw, address)
		}
		parsed, err := netmail.ParseAddress(address)
		if err != nil || parsed.Address != address || parsed.Name != "" {
			t.Fatalf("%q: net/mail reads %q as %v, %v", raw, address, parsed, err)
		}
		if again, problem := email.ParseAddress(address); again != address {
			t.Fatalf("%q became %q and then %q (%s)", raw, address, again, problem)
		}
		// Hyphens in third and fourth place are no mistake of a name: registries do not allow them, private networks
		// have them.
		lookup := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false))
		if _, err := lookup.ToASCII(address[strings.IndexByte(address, '@')+1:]); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

// A subject stays one line whatever a mail program does with it, and does not change when it is cleaned again.
func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?=0D=0A?=", "=\u202e?x", "a\r\nb", "\xff", "==?", "  x  y ", "\u2028", "é\u0301😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := email.OneLine(s)
		if !utf8.ValidString(line) || strings.Contains(line, "=?") || strings.ContainsAny(line, "\r\n\x00\u0085\u2028\u2029\u202a\u202e\u2066\u2069") {
			t.Fatalf("%q became %q", s, line)
		}
		if again := email.OneLine(line); again != line {
			t.Fatalf("%q became %q and then %q", s, line, again)
		}
		encoded := mime.QEncoding.Encode("UTF-8", line)
		if decoded, err := new(mime.WordDecoder).DecodeHeader(encoded); err != nil || decoded != line {
			t.Fatalf("%q: %q is read as %q, %v", s, line, decoded, err)
		}
	})
}

// What is fit for the wire is lines of printable ASCII that end with CRLF, by a slower reading of the same rule.
func FuzzFitForWire(f *testing.F) {
	for _, s := range []string{"", "a\r\n", "a", "a\nb\r\n", "a\r\r\n", "\x00\r\n", "é\r\n", strings.Repeat("x", 998) + "\r\n", strings.Repeat("x", 999) + "\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		fit := len(wire) == 0 || bytes.HasSuffix(wire, []byte("\r\n"))
		for _, line := range bytes.Split(wire, []byte("\r\n")) {
			fit = fit && len(line) <= 998
			for _, b := range line {
				fit = fit && (b == '\t' || b >= ' ' && b <= '~')
			}
		}
		if email.FitForWire(wire) != fit {
			t.Fatalf("%q: fit is %t", wire, !fit)
		}
	})
}
