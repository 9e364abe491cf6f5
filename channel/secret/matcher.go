package secret

import (
	"cmp"
	"slices"
	"sync"
)

// minLength is the length of the shortest pattern; shorter values are not searched for, because "admin1" or "443" would
// turn ordinary text into gaps.
const minLength = 8

// stride is how far apart the places are at which a text is looked at: a pattern is longer, so it is met at one of its
// first bytes.
const stride = 4

// pattern is a text to search for.
type pattern struct {
	text   string // folded
	base64 bool   // the neighbours of a match hold some of its bits
}

// matcher finds many patterns in one pass, in time that is linear in the text, whatever the patterns are.
type matcher struct {
	pairs     *[1 << 16 / 64]uint64 // a bit for each two bytes next to each other at the beginning of a pattern
	automaton func() *automaton     // made on first use: most answers are too short to hold anything
	longest   int                   // value that the patterns were made of
}

func newMatcher(patterns []pattern, longest int) *matcher {
	m := &matcher{new([1 << 16 / 64]uint64), sync.OnceValue(func() *automaton { return newAutomaton(patterns) }), longest}
	for _, p := range patterns {
		for at := range stride {
			for _, a := range unfold(p.text[at]) {
				for _, b := range unfold(p.text[at+1]) {
					pair := uint16(a)<<8 | uint16(b)
					m.pairs[pair/64] |= 1 << (pair % 64)
				}
			}
		}
	}
	return m
}

// automaton is that of Aho and Corasick (Efficient string matching, CACM 18, 1975). A node is a beginning of patterns,
// and node 0 the empty one. The nodes are numbered level by level, so that the children of each have numbers in a row.
type automaton struct {
	start    [256]int32 // the children of node 0
	children []int32    // those of node n are children[n] to children[n+1]-1
	label    []byte     // by which each node is reached
	fail     []int32    // the longest other node that the node's text ends with
	length   []int32    // of the longest pattern that the node's text ends with; 0 = none
	base64   []bool     // length may be that of a pattern in base64
}

func newAutomaton(patterns []pattern) *automaton {
	slices.SortFunc(patterns, func(p, q pattern) int { return cmp.Compare(p.text, q.text) })
	// A node in the queue is the first depth bytes of the patterns from to to-1.
	type node struct{ from, to, depth int }
	queue := []node{{0, len(patterns), 0}}
	a := &automaton{label: make([]byte, 1), fail: make([]int32, 1), length: make([]int32, 1), base64: make([]bool, 1)}
	for n := int32(0); int(n) < len(queue); n++ {
		at := queue[n]
		a.children = append(a.children, int32(len(queue)))
		for from := at.from; from < at.to; {
			if len(patterns[from].text) == at.depth {
				from++ // it ends with this node
				continue
			}
			child := node{from, from, at.depth + 1}
			c := patterns[from].text[at.depth]
			length, isBase64 := 0, false
			for ; child.to < at.to && patterns[child.to].text[at.depth] == c; child.to++ {
				if p := patterns[child.to]; len(p.text) == child.depth {
					length, isBase64 = child.depth, isBase64 || p.base64
				}
			}
			suffix := int32(0)
			if n > 0 {
				suffix = a.next(a.fail[n], c)
			} else {
				a.start[c] = int32(len(queue))
			}
			if length == 0 {
				length = int(a.length[suffix])
			}
			a.label = append(a.label, c)
			a.fail = append(a.fail, suffix)
			a.length = append(a.length, int32(length))
			a.base64 = append(a.base64, isBase64 || a.base64[suffix])
			queue = append(queue, child)
			from = child.to
		}
	}
	a.children = append(a.children, int32(len(queue)))
	return a
}

// child returns the node that a node goes on to by c, or 0.
func (a *automaton) child(node int32, c byte) int32 {
	if node == 0 {
		return a.start[c]
	}
	for child := a.children[node]; child < a.children[node+1]; child++ {
		if a.label[child] == c {
			return child
		}
	}
	return 0
}

// next returns the longest node that the text of a node and then c end with.
func (a *automaton) next(node int32, c byte) int32 {
	for {
		if child := a.child(node, c); child != 0 || node == 0 {
			return child
		}
		node = a.fail[node]
	}
}

// skip returns a place not before from, and not behind the next pattern: what is between holds nothing. Two bytes of
// every fourth place are enough to see that.
func skip[T string | []byte](m *matcher, s T, from int) int {
	for i := from; i < len(s)-1; i += stride {
		pair := uint16(s[i])<<8 | uint16(s[i+1])
		if m.pairs[pair/64]>>(pair%64)&1 != 0 {
			return max(from, i-stride+1)
		}
	}
	return len(s)
}

// find appends the ranges of s that hold a pattern, ordered by their ends.
func find[T string | []byte](m *matcher, s T, spans []span) []span {
	i := skip(m, s, 0)
	if i == len(s) {
		return spans
	}
	a, node, first := m.automaton(), int32(0), len(spans)
	for ; i < len(s); i++ {
		node = a.next(node, fold(s[i]))
		if n := int(a.length[node]); n > 0 {
			found := span{i + 1 - n, i + 1}
			if a.base64[node] {
				found = widen(s, found)
			}
			spans = extend(spans, first, found)
		}
		if node == 0 {
			i = skip(m, s, i+1) - 1
		}
	}
	return spans
}

// fold maps bytes that stand for the same: forms write a blank as '+'.
func fold(c byte) byte {
	if c == '+' {
		return ' '
	}
	return c
}

// unfold lists the bytes that fold makes c of.
func unfold(c byte) []byte {
	if c == ' ' {
		return []byte(" +")
	}
	return []byte{c}
}

// span is a half-open range of bytes.
type span struct{ start, end int }

// extend adds s, which does not end before the others, to spans[first:], joining it with those it touches.
func extend(spans []span, first int, s span) []span {
	for len(spans) > first && spans[len(spans)-1].end >= s.start {
		last := spans[len(spans)-1]
		s = span{min(s.start, last.start), max(s.end, last.end)}
		spans = spans[:len(spans)-1]
	}
	return append(spans, s)
}

// join orders spans and joins those that touch.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.end, b.end) })
	joined := spans[:0]
	for _, s := range spans {
		joined = extend(joined, 0, s)
	}
	return joined
}

// widen takes in the characters beside a base64 match, which hold the bits the pattern leaves out.
func widen[T string | []byte](s T, r span) span {
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
