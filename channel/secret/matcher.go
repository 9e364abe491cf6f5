package secret

import (
	"math/bits"
	"slices"
	"unicode/utf8"
)

const (
	// minLength is the length of the shortest pattern; shorter values are not searched for, because "admin1" or "443"
	// would turn ordinary text into gaps.
	minLength = 8
	minTail   = 4 // a shorter beginning of a value gives nothing away
	block     = 3
)

type pattern struct {
	text   string
	base64 bool // the neighbours of a match hold some of its bits
}

// matcher finds many patterns in one pass with the method of Wu and Manber: the last three bytes of a window, which is as
// long as the shortest pattern, say how far the window can move, so the cost hardly depends on the number of patterns.
type matcher struct {
	patterns []pattern
	window   int
	shift    []uint8
	down     uint             // reduces a 32-bit hash to an index of shift
	heads    map[uint32][]int // block at the window's end -> patterns, the longest first
}

func newMatcher(patterns []pattern) *matcher {
	slices.SortStableFunc(patterns, func(a, b pattern) int { return len(b.text) - len(a.text) })
	window := 16 // longer ones need a larger table than they are worth
	if n := len(patterns); n > 0 {
		window = min(window, len(patterns[n-1].text))
	}
	size := min(max(8, bits.Len(uint(len(patterns)*window*16))), 14)
	m := &matcher{
		patterns: patterns,
		window:   window,
		shift:    make([]uint8, 1<<size),
		down:     uint(32 - size),
		heads:    make(map[uint32][]int, len(patterns)),
	}
	for i := range m.shift {
		m.shift[i] = uint8(window - block + 1)
	}
	for i, p := range patterns {
		for end := block; end <= window; end++ {
			h := m.slot(key(p.text, end-1))
			m.shift[h] = min(m.shift[h], uint8(window-end))
		}
		k := key(p.text, window-1)
		m.heads[k] = append(m.heads[k], i)
	}
	return m
}

// find appends the ranges of s that hold a pattern, in order and without overlap among themselves.
func find[T string | []byte](m *matcher, s T, spans []span) []span {
	if clean(m, s) {
		return spans
	}
	first := len(spans)
	for i := m.window - 1; i < len(s); {
		k := key(s, i)
		if move := m.shift[m.slot(k)]; move > 0 {
			i += int(move)
			continue
		}
		at := i - m.window + 1
		for _, c := range m.heads[k] {
			p := &m.patterns[c]
			if len(s)-at >= len(p.text) && string(s[at:at+len(p.text)]) == p.text {
				spans = extend(spans, first, widen(p, s, span{at, at + len(p.text)}))
				break
			}
		}
		i++ // not past the match: the next one may overlap it
	}
	return spans
}

// clean reports that s holds no pattern, if that is easy to see. Each step of a search waits for the one before it, so this
// makes four searches side by side, of a quarter of s each, and leaves it at the first place that needs a closer look.
func clean[T string | []byte](m *matcher, s T) bool {
	const worthIt = 256
	if len(s) < worthIt {
		return false
	}
	quarter := (len(s) - m.window + 1) / 4
	a := m.window - 1 // the ends of the first windows of each quarter
	b, c, d := a+quarter, a+2*quarter, a+3*quarter
	endA, endB, endC := b, c, d
	suspect := func(i int) bool { return m.heads[key(s, i)] != nil }
	for a < endA && b < endB && c < endC && d < len(s) {
		moveA, moveB := m.shift[m.slot(key(s, a))], m.shift[m.slot(key(s, b))]
		moveC, moveD := m.shift[m.slot(key(s, c))], m.shift[m.slot(key(s, d))]
		if moveA == 0 || moveB == 0 || moveC == 0 || moveD == 0 {
			if moveA == 0 && suspect(a) || moveB == 0 && suspect(b) || moveC == 0 && suspect(c) || moveD == 0 && suspect(d) {
				return false
			}
			moveA, moveB, moveC, moveD = max(moveA, 1), max(moveB, 1), max(moveC, 1), max(moveD, 1)
		}
		a, b, c, d = a+int(moveA), b+int(moveB), c+int(moveC), d+int(moveD)
	}
	for _, rest := range [...]struct{ i, end int }{{a, endA}, {b, endB}, {c, endC}, {d, len(s)}} {
		for i := rest.i; i < rest.end; {
			move := m.shift[m.slot(key(s, i))]
			if move == 0 && suspect(i) {
				return false
			}
			i += int(max(move, 1))
		}
	}
	return true
}

// findTail appends the range at the end of s that holds the beginning of a pattern: what a cut has left of it. An escape
// that the cut has left incomplete belongs to the range.
func findTail[T string | []byte](m *matcher, s T, spans []span) []span {
	first := len(spans)
	whole := len(s) - partialEscape(s)
	for i := range m.patterns {
		p := &m.patterns[i]
		for n := min(len(p.text)-1, len(s)); n >= minTail; n-- {
			start := len(s) - n
			if string(s[start:]) != p.text[:n] {
				if start = whole - n; start < 0 || string(s[start:whole]) != p.text[:n] {
					continue
				}
			}
			spans = extend(spans, first, widen(p, s, span{start, len(s)}))
			break
		}
	}
	return spans
}

// partialEscape says how many bytes at the end of s are an incomplete escape: %4, \u00e, &#3, or the replacement character
// that the first half of a surrogate pair is decoded to.
func partialEscape[T string | []byte](s T) int {
	n := 0
	for i := 1; i < longestReference && i <= len(s) && n == 0; i++ {
		switch c := s[len(s)-i]; {
		case c == '&', c == '%' && i < 3, c == '\\' && (i == 1 || i < 6 && s[len(s)-i+1] == 'u' || i < 4 && s[len(s)-i+1] == 'x'):
			n = i
		}
	}
	const half = string(utf8.RuneError)
	if end := len(s) - n; end >= len(half) && string(s[end-len(half):end]) == half {
		n += len(half)
	}
	return n
}

// key packs the block of s that ends at i.
func key[T string | []byte](s T, i int) uint32 {
	return uint32(s[i-2]) | uint32(s[i-1])<<8 | uint32(s[i])<<16
}

func (m *matcher) slot(key uint32) uint32 { return key * 0x9E3779B1 >> m.down }

// span is a half-open range of bytes.
type span struct{ start, end int }

// extend adds s to spans[first:], joining it with the last one if they overlap.
func extend(spans []span, first int, s span) []span {
	if n := len(spans); n > first && s.start <= spans[n-1].end && s.start >= spans[n-1].start {
		spans[n-1].end = max(spans[n-1].end, s.end)
		return spans
	}
	return append(spans, s)
}

// widen takes in the characters beside a base64 match, which hold the bits the pattern leaves out.
func widen[T string | []byte](p *pattern, s T, r span) span {
	if !p.base64 {
		return r
	}
	if r.start > 0 && isBase64(s[r.start-1]) {
		r.start--
	}
	if r.end < len(s) && isBase64(s[r.end]) {
		r.end++
	}
	return r
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}
