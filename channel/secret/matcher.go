package secret

import (
	"cmp"
	"slices"
	"sync"
)

// minLength is the length of the shortest pattern; shorter values are not searched for, because "admin1" or "443" would
// turn ordinary text into gaps.
const minLength = 8

// A pattern is a text to search for.
type pattern struct {
	text   string
	base64 bool // the neighbours of a match hold some of its bits
}

// matcher finds many patterns in one pass, in time that is linear in the text, whatever the patterns are: the filter
// says of almost every text that it holds none of them, and the automaton reads what is left.
type matcher struct {
	filter    *filter
	automaton func() *automaton // made on first use, which most channels never come to
	longest   int               // value
}

func newMatcher(patterns []pattern, longest int) *matcher {
	return &matcher{newFilter(patterns), sync.OnceValue(func() *automaton { return newAutomaton(patterns) }), longest}
}

// find appends the ranges of s that hold a pattern, ordered by their ends.
func find[T string | []byte](m *matcher, s T, spans []span) []span {
	if m.filter == nil || excludes(m.filter, s) {
		return spans
	}
	return scan(m.automaton(), s, spans)
}

// fold maps bytes that stand for the same: forms write a blank as '+'.
func fold(c byte) byte {
	if c == '+' {
		return ' '
	}
	return c
}

// automaton is that of Aho and Corasick (Efficient string matching, CACM 18, 1975). A node is a beginning of patterns,
// 0 the empty one. As long as a beginning goes on in one way only, the next node has the next number, so that most
// nodes cost 13 bytes.
type automaton struct {
	label   []byte         // by which each node is reached
	single  []bool         // the next number is a child of the node
	branch  map[edge]int32 // the other children
	fail    []int32        // the longest other node that the node's text ends with
	length  []int32        // of the longest pattern that the node's text ends with; 0 = none
	base64  map[int32]bool // nodes at which length may be of a pattern in base64
	atStart [256]int32     // children of node 0
}

type edge struct {
	node int32
	by   byte
}

func newAutomaton(patterns []pattern) *automaton {
	size := 1
	for _, p := range patterns {
		size += len(p.text)
	}
	a := &automaton{
		label: make([]byte, 1, size), single: make([]bool, 1, size), length: make([]int32, 1, size),
		branch: make(map[edge]int32), base64: make(map[int32]bool),
	}
	for _, p := range patterns {
		a.add(p)
	}
	a.link()
	return a
}

// add makes the nodes of a pattern.
func (a *automaton) add(p pattern) {
	at := int32(0)
	for i := range len(p.text) {
		c := fold(p.text[i])
		next := a.child(at, c)
		if next == 0 {
			next = int32(len(a.label))
			switch at {
			case 0:
				a.atStart[c] = next
			case next - 1:
				a.single[at] = true
			default:
				a.branch[edge{at, c}] = next
			}
			a.label, a.single, a.length = append(a.label, c), append(a.single, false), append(a.length, 0)
		}
		at = next
	}
	a.length[at] = int32(len(p.text))
	if p.base64 {
		a.base64[at] = true
	}
}

// child returns the node that a node goes on to by c, or 0.
func (a *automaton) child(node int32, c byte) int32 {
	switch {
	case node == 0:
		return a.atStart[c]
	case a.single[node] && a.label[node+1] == c:
		return node + 1
	case len(a.branch) == 0:
		return 0
	}
	return a.branch[edge{node, c}]
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

// link sets fail, level by level, and with it length.
func (a *automaton) link() {
	a.fail = make([]int32, len(a.label))
	branches := make(map[int32][]int32, len(a.branch))
	for e, child := range a.branch {
		branches[e.node] = append(branches[e.node], child)
	}
	level := make([]int32, 0, len(a.label))
	for _, child := range a.atStart {
		if child != 0 {
			level = append(level, child)
		}
	}
	for i := 0; i < len(level); i++ {
		node := level[i]
		children := branches[node]
		if a.single[node] {
			children = append(children, node+1)
		}
		for _, child := range children {
			suffix := a.next(a.fail[node], a.label[child])
			a.fail[child] = suffix
			if a.length[child] == 0 {
				a.length[child] = a.length[suffix]
			}
			if a.base64[suffix] {
				a.base64[child] = true
			}
		}
		level = append(level, children...)
	}
}

// scan appends the ranges of s that hold a pattern, ordered by their ends.
func scan[T string | []byte](a *automaton, s T, spans []span) []span {
	first := len(spans)
	node := int32(0)
	for i := range len(s) {
		node = a.next(node, fold(s[i]))
		n := int(a.length[node])
		if n == 0 {
			continue
		}
		found := span{i + 1 - n, i + 1}
		if a.base64[node] {
			found = widen(s, found)
		}
		spans = extend(spans, first, found)
	}
	return spans
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
