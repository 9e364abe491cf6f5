package template

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

func (m *machine) text(in *instruction, pc int) {
	if m.tracing {
		m.trace = append(m.trace, traceEntry{len(m.out) - m.start, pc})
	}
	if in.joins && m.valueEnd == len(m.out) && m.valueEnd > m.start {
		m.adjacentValue()
		return
	}
	if m.fits(len(in.text)) {
		m.out = append(m.out, in.text...)
	}
}

// fits reports whether n more bytes of output are allowed.
func (m *machine) fits(n int) bool {
	if len(m.out)-m.start+n > m.t.limits.Output {
		m.tooLong()
		return false
	}
	return true
}

func (m *machine) tooLong() {
	m.fail(KindSize, "the output is longer than "+strconv.Itoa(m.t.limits.Output)+" bytes", "", nil)
}

func (m *machine) adjacentValue() {
	if m.err == nil {
		m.err = &JSONError{Position: m.t.lines.at(m.pos), Kind: KindJoint,
			Message: "a value outside quotes stands directly beside other text or another value",
			Hint:    "put the whole text in quotes, or a comma between the values"}
	}
}

// value writes v as the instruction's place demands.
func (m *machine) value(in *instruction, v any, pc int) {
	if m.tracing {
		m.trace = append(m.trace, traceEntry{len(m.out) - m.start, pc})
	}
	if in.nest > 0 {
		m.nested(in, v)
		return
	}
	if in.out == outJSONValue {
		if n := len(m.out); n > m.start && joinsJSON(m.out[n-1]) {
			m.adjacentValue()
			return
		}
		m.out = m.appendJSON(m.out, v, 0)
		m.valueEnd = len(m.out)
		m.fits(0)
		return
	}
	if n, ok := v.(json.Number); ok && isNumber(string(n)) {
		m.out = append(m.out, n...)
	} else if text, ok := scalarText(v); !ok {
		m.out = appendEscaped(m.out, in.out, string(m.appendText(nil, v, 0)))
	} else if m.fits(len(text)) {
		m.out = appendEscaped(m.out, in.out, text)
	}
	m.fits(0)
}

// nested writes v into a document that stands in a string of a document: every level of strings escapes it once more.
func (m *machine) nested(in *instruction, v any) {
	var text string
	if in.out == outJSONValue {
		text = string(m.appendJSON(nil, v, 0))
	} else {
		text = string(appendJSONString(nil, m.textOf(v)))
	}
	for range in.nest - 1 {
		if m.err != nil || !m.fits(len(text)) {
			return
		}
		text = string(appendJSONString(nil, text))
	}
	if m.err == nil && m.fits(len(text)) {
		m.out = appendJSONString(m.out, text)
		m.fits(0)
	}
}

// joinsJSON reports whether b could be part of a number or word of JSON that a neighbour prolongs.
func joinsJSON(b byte) bool {
	return isAlphanumeric(b) || b == '.' || b == '-' || b == '+'
}

// appendText appends the text of a value: a list is joined by commas, an object is its JSON.
func (m *machine) appendText(dst []byte, v any, depth int) []byte {
	if s, ok := scalarText(v); ok {
		return append(dst, s...)
	}
	list, ok := v.([]any)
	if !ok {
		return m.appendJSON(dst, v, depth)
	}
	for i, e := range list {
		if !m.descend(len(dst), depth) {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.appendText(dst, e, depth+1)
	}
	return dst
}

// appendJSON appends v as JSON, keys in byte order, numbers digit for digit.
func (m *machine) appendJSON(dst []byte, v any, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case json.Number:
		if isNumber(string(v)) {
			return append(dst, v...)
		}
		return appendEscaped(dst, outJSONValue, string(v))
	case string:
		if !m.fits(len(v)) {
			return dst
		}
		return appendEscaped(dst, outJSONValue, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if !m.descend(len(dst), depth) {
				break
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.appendJSON(dst, e, depth+1)
		}
		return append(dst, ']')
	case map[string]any:
		if !m.countKeys(v) {
			return dst
		}
		dst = append(dst, '{')
		for i, k := range sortedKeys(v) {
			if !m.descend(len(dst), depth) {
				break
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendEscaped(dst, outJSONValue, k), ':')
			dst = m.appendJSON(dst, v[k], depth+1)
		}
		return append(dst, '}')
	}
	m.invalidData()
	return dst
}

// descend counts the step of one element of a list or object and bounds the depth and the length of the text so far.
func (m *machine) descend(length, depth int) bool {
	if depth >= maxDataDepth {
		m.fail(KindData, "the data is nested deeper than "+strconv.Itoa(maxDataDepth)+" levels", "", nil)
	}
	if length > m.start+m.t.limits.Output {
		m.fits(m.t.limits.Output + 1)
	}
	return m.err == nil && m.countSteps(1)
}

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

// appendEscaped appends s as the output demands. outJSONValue adds the quotes.
func appendEscaped(dst []byte, o output, s string) []byte {
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
		if b := s[i]; isAlphanumeric(b) || b == '-' || b == '.' || b == '_' || b == '~' {
			dst = append(dst, b)
		} else {
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
