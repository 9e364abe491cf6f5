package email

import (
	"bytes"
	"strings"
	"unicode"
)

// maxSubject is in characters.
const maxSubject = 255

// maxLine is the longest line without its CRLF, RFC 5322 section 2.1.1.
const maxLine = 998

// oneLine makes a header value of s: no character that ends, hides or reorders text, single blanks, and nothing that a
// mail program would decode (RFC 2047) and so turn into such a character after all.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case reorders(r), r == '\u200b', r == '\u2060', r == '\ufeff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.ReplaceAll(s, "=?", "= ?")
	return strings.Join(strings.Fields(s), " ")
}

// cleanLines makes a body of s: lines that end with a line feed alone, which the encoder writes as CRLF, and no
// character that a terminal would obey or that reorders text.
func cleanLines(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || reorders(r) {
			return -1
		}
		return r
	}, s)
}

// reorders tells whether r is one of the embeddings, overrides and isolates by which text can be shown in another order
// than it is read. Right-to-left scripts do without them.
func reorders(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// fitForWire tells whether a finished message may be sent: lines of at most 998 bytes that end with CRLF, no CR or LF
// elsewhere, and visible ASCII, blanks and tabs in them. Servers disagree about anything else, and what one takes for
// text is a command to the next.
func fitForWire(wire []byte) bool {
	for len(wire) > 0 {
		end := bytes.Index(wire, []byte("\r\n"))
		if end < 0 {
			return false
		}
		if end > maxLine {
			return false
		}
		for _, b := range wire[:end] {
			if b != '\t' && (b < ' ' || b > '~') {
				return false
			}
		}
		wire = wire[end+2:]
	}
	return true
}
