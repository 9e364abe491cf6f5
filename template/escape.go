package template

import (
	"unicode/utf8"
)

// output is how a value is written at one place of a template.
type output uint8

const (
	outText output = iota
	outHTML
	outHeader
	outURL
	outSlack
	outHTMLURL     // the whole URL of an HTML attribute
	outHTMLAddress // behind mailto: and the like
	outCSS         // in a style attribute
	outJSONString  // inside a string literal
	outJSONValue   // outside: a complete value
)

// appendString appends s as the output demands. outJSONValue adds the quotes.
func appendString(dst []byte, o output, s string) []byte {
	switch o {
	case outHTML:
		return appendReplaced(dst, s, htmlEntity)
	case outSlack:
		return appendReplaced(dst, s, slackEntity)
	case outHeader:
		return appendHeader(dst, s)
	case outURL:
		return appendURL(dst, s)
	case outHTMLURL:
		return appendHTMLURL(dst, s)
	case outHTMLAddress:
		return appendAddress(dst, s)
	case outCSS:
		return appendCSS(dst, s)
	case outJSONString:
		return appendJSONString(dst, s)
	case outJSONValue:
		dst = append(dst, '"')
		return append(appendJSONString(dst, s), '"')
	default:
		return append(dst, s...)
	}
}

// appendReplaced appends s with the bytes for which entity has a text replaced by it.
func appendReplaced(dst []byte, s string, entity func(byte) string) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		if e := entity(s[i]); e != "" {
			dst = append(append(dst, s[start:i]...), e...)
			start = i + 1
		}
	}
	return append(dst, s[start:]...)
}

// htmlEntity has the entities of handlebars.js, byte for byte.
func htmlEntity(b byte) string {
	switch b {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&quot;"
	case '\'':
		return "&#x27;"
	case '`':
		return "&#x60;"
	case '=':
		return "&#x3D;"
	}
	return ""
}

// slackEntity has the three characters that are control characters in Slack's mrkdwn.
func slackEntity(b byte) string {
	switch b {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return ""
}

// appendHeader makes control characters and line separators spaces, and invalid UTF-8 U+FFFD: one line, always.
func appendHeader(dst []byte, s string) []byte {
	for _, r := range s {
		if r < 0x20 || r >= 0x7F && r <= 0x9F || r == 0x2028 || r == 0x2029 {
			r = ' '
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendURL keeps the unreserved characters of RFC 3986, section 2.3, and percent-encodes the rest.
func appendURL(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		b := s[i]
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '.', b == '_', b == '~':
			dst = append(dst, b)
		default:
			dst = appendPercent(dst, b)
		}
	}
	return dst
}

func appendPercent(dst []byte, b byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[b>>4], hex[b&15])
}

// appendJSONString appends the content of a JSON string that decodes to s, with U+FFFD for invalid UTF-8. U+2028 and
// U+2029 are escaped, since JavaScript once could not read them.
func appendJSONString(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if b >= 0x20 && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = appendJSONEscape(append(dst, s[start:i]...), b)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), "\uFFFD"...)
			start = i + 1
		case r == 0x2028:
			dst = append(append(dst, s[start:i]...), `\u2028`...)
			start = i + size
		case r == 0x2029:
			dst = append(append(dst, s[start:i]...), `\u2029`...)
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

func appendJSONEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
}
