package secret

import (
	"cmp"
	"slices"
	"strings"
)

// Redactor replaces secrets in text with [Redacted]. It knows the values it was made of and finds them as they are,
// trimmed, percent-encoded, JSON-escaped, HTML-escaped (up to three times over, in any mixture), in hexadecimal, in
// UTF-16, and within standard or URL-safe base64, such as a Basic authorization. For a value that is an http URL its
// [URLParts] count too.
//
// Values under 8 characters are not searched for: hide those by their place, as [Header] does. A Redactor is immutable
// and safe for concurrent use, shows nothing when printed, and does not allocate when it finds nothing in text without
// escapes. A nil or zero Redactor changes nothing.
type Redactor struct {
	m func() (m *matcher, plus bool)
}

// NewRedactor makes a Redactor for the given values.
func NewRedactor(values ...string) *Redactor {
	patterns := patternsOf(values)
	m := newMatcher(patterns)
	plus := slices.ContainsFunc(patterns, func(p pattern) bool { return strings.Contains(p.text, " ") })
	return &Redactor{func() (*matcher, bool) { return m, plus }}
}

// String returns s without the secrets.
func (r *Redactor) String(s string) string {
	spans := search(r, s, false)
	if spans == nil {
		return s
	}
	return string(replace(s, spans))
}

// Bytes returns b without the secrets: b itself if there are none, else a copy.
func (r *Redactor) Bytes(b []byte) []byte {
	spans := search(r, b, false)
	if spans == nil {
		return b
	}
	return replace(b, spans)
}

// Cut is Bytes for text whose end was cut off: it also removes the beginning of a secret, of at least 4 characters, that
// the cut left at the end.
func (r *Redactor) Cut(b []byte) []byte {
	spans := search(r, b, true)
	if spans == nil {
		return b
	}
	return replace(b, spans)
}

const maxLayers = 3

// search returns the ranges of s to replace, ordered and apart, or nil.
func search[T string | []byte](r *Redactor, s T, cut bool) []span {
	if r == nil || r.m == nil {
		return nil
	}
	m, plus := r.m()
	if len(m.patterns) == 0 {
		return nil
	}
	spans := find(m, s, nil)
	if cut {
		spans = findTail(m, s, spans)
	}
	if has(s, '%') || has(s, '\\') || has(s, '&') {
		spans = searchLayers(m, s, false, cut, spans)
	}
	if plus && (has(s, '+') || has(s, '%') || has(s, '&')) {
		spans = searchLayers(m, s, true, cut, spans)
	}
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	joined := spans[:1]
	for _, s := range spans[1:] {
		joined = extend(joined, 0, s)
	}
	return joined
}

func has[T string | []byte](s T, c byte) bool { return index(s, c, 0) < len(s) }

// searchLayers searches s unescaped once, twice and so on, while there is something to unescape.
func searchLayers[T string | []byte](m *matcher, s T, plus, cut bool, spans []span) []span {
	var layers [maxLayers]*view
	for n := range layers {
		v := views.Get().(*view)
		layers[n] = v
		if n == 0 && !unescape(v, s, plus) || n > 0 && !unescape(v, layers[n-1].text, plus) {
			break
		}
		first := len(spans)
		spans = find(m, v.text, spans)
		if cut {
			spans = findTail(m, v.text, spans)
		}
		for i := first; i < len(spans); i++ {
			for l := n; l >= 0; l-- {
				spans[i] = layers[l].original(spans[i])
			}
		}
	}
	for _, v := range layers {
		if v != nil {
			putBack(v)
		}
	}
	return spans
}

// putBack gives v to others to use, without the text: what is redacted should not live on in a pool.
func putBack(v *view) {
	const largest = 1 << 20
	if cap(v.text) > largest {
		return
	}
	clear(v.text[:cap(v.text)])
	views.Put(v)
}

func replace[T string | []byte](s T, spans []span) []byte {
	out := make([]byte, 0, len(s)+len(spans)*len(Redacted))
	end := 0
	for _, r := range spans {
		out = append(out, s[end:r.start]...)
		out = append(out, Redacted...)
		end = r.end
	}
	return append(out, s[end:]...)
}
