package secret

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// view is an unescaped copy of a text, with what is needed to find the place of a byte in that text.
type view struct {
	text []byte
	runs []run
	of   *view // what it is a view of; nil = the text itself
}

// escapes are kinds of escapes.
type escapes uint8

const (
	percentEscapes   escapes = 1 << iota // of URLs and forms
	backslashEscapes                     // of JSON and Go
	htmlReferences                       // of HTML
	anyEscapes       = percentEscapes | backslashEscapes | htmlReferences
)

// run is a part of a view: copied as it was if escape is 0, else decoded from an escape of that many bytes.
type run struct{ at, from, escape int }

var views = sync.Pool{New: func() any { return new(view) }} //nolint:gochecknoglobals // scratch memory, without meaning

// unescape fills v with s, escapes of the given kinds decoded, and reports whether there was any.
func unescape[T string | []byte](v *view, s T, kinds escapes) bool {
	v.text, v.runs = v.text[:0], v.runs[:0]
	indexOf := func(c byte, kind escapes, from int) int {
		if kinds&kind == 0 {
			return len(s)
		}
		return index(s, c, from)
	}
	percent, slash, reference := indexOf('%', percentEscapes, 0), indexOf('\\', backslashEscapes, 0), indexOf('&', htmlReferences, 0)
	done := 0 // s[:done] is copied
	for {
		i := min(percent, slash, reference)
		if i == len(s) {
			break
		}
		r, n := rune(0), 0
		switch i {
		case percent:
			if c, ok := hexRune(s, i+1, 2); ok {
				r, n = c, 3
			}
		case slash:
			r, n = backslash(s, i)
		case reference:
			r, n = characterReference(s, i)
		}
		if n > 0 {
			copyRun(v, s[done:i], done)
			v.runs = append(v.runs, run{len(v.text), i, n})
			if n >= 6 {
				v.text = utf8.AppendRune(v.text, r)
			} else {
				v.text = append(v.text, byte(r))
			}
			done = i + n
		}
		next := i + max(n, 1)
		if percent < next {
			percent = index(s, '%', next)
		}
		if slash < next {
			slash = index(s, '\\', next)
		}
		if reference < next {
			reference = index(s, '&', next)
		}
	}
	found := len(v.runs) > 0
	copyRun(v, s[done:], done)
	return found
}

// copyRun adds s, which begins at byte from of the text, as it is.
func copyRun[T string | []byte](v *view, s T, from int) {
	if len(s) > 0 {
		v.runs = append(v.runs, run{len(v.text), from, 0})
		v.text = append(v.text, s...)
	}
}

// index finds c in s[from:]; len(s) if it is not there.
func index[T string | []byte](s T, c byte, from int) int {
	i := -1
	switch rest := any(s[from:]).(type) {
	case string:
		i = strings.IndexByte(rest, c)
	case []byte:
		i = bytes.IndexByte(rest, c)
	}
	if i < 0 {
		return len(s)
	}
	return from + i
}

// backslash decodes the escape at s[i] and says how long it is: 6 or 12 for Unicode, 4 for \xNN, 2 for one letter, and
// 0 when it is none.
func backslash[T string | []byte](s T, i int) (rune, int) {
	if i+1 == len(s) {
		return 0, 0
	}
	switch c := s[i+1]; c {
	case '"', '\\', '/', '\'':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'x':
		if r, ok := hexRune(s, i+2, 2); ok {
			return r, 4
		}
	case 'u':
		r, ok := hexRune(s, i+2, 4)
		if !ok {
			break
		}
		if utf16.IsSurrogate(r) && i+7 < len(s) && s[i+6] == '\\' && s[i+7] == 'u' {
			if low, ok := hexRune(s, i+8, 4); ok {
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					return both, 12
				}
			}
		}
		return r, 6
	}
	return 0, 0
}

// longestReference is &#1114111; which is U+10FFFF.
const longestReference = 10

// characterReference decodes &#N; &#xN; or one of the names that escaping HTML makes at s[i], and says how long it is;
// 0 when it is none. Nothing shorter than 6 is beyond ASCII.
func characterReference[T string | []byte](s T, i int) (rune, int) {
	end := index(s[:min(len(s), i+longestReference)], ';', i)
	if end >= i+longestReference || end == len(s) {
		return 0, 0
	}
	n := end + 1 - i
	switch name := string(s[i+1 : end]); name {
	case "amp":
		return '&', n
	case "lt":
		return '<', n
	case "gt":
		return '>', n
	case "quot":
		return '"', n
	case "apos":
		return '\'', n
	default:
		digits, ok := strings.CutPrefix(name, "#")
		if !ok {
			return 0, 0
		}
		base := 10
		if hexadecimal, ok := strings.CutPrefix(strings.ToLower(digits), "x"); ok {
			digits, base = hexadecimal, 16
		}
		code, err := strconv.ParseUint(digits, base, 21)
		if err != nil {
			return 0, 0
		}
		return rune(code), n
	}
}

// hexRune reads n hexadecimal digits at s[i].
func hexRune[T string | []byte](s T, i, n int) (rune, bool) {
	if i+n > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[i : i+n]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// original maps a range of the view to the text the view was made of.
func (v *view) original(s span) span {
	find := func(i int) run {
		n, ok := slices.BinarySearchFunc(v.runs, i, func(r run, i int) int { return cmp.Compare(r.at, i) })
		if !ok {
			n--
		}
		return v.runs[n]
	}
	first, last := find(s.start), find(s.end-1)
	start, end := first.from, last.from+last.escape // a match that ends within an escaped character takes all of it
	if first.escape == 0 {
		start += s.start - first.at
	}
	if last.escape == 0 {
		end += s.end - last.at
	}
	return span{start, end}
}
