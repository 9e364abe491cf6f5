package template

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// Position is a place in a text. Offset counts bytes from 0; Line and Column count from 1, Column in characters.
type Position struct {
	Offset int
	Line   int
	Column int
}

// lineIndex finds positions in a text without reading all of it each time.
type lineIndex struct {
	text   string
	starts []int
	before int // bytes of the source before the text
}

func newLineIndex(text string) *lineIndex {
	starts := make([]int, 1, 1+strings.Count(text, "\n"))
	for i := 0; ; {
		j := strings.IndexByte(text[i:], '\n')
		if j < 0 {
			return &lineIndex{text: text, starts: starts}
		}
		i += j + 1
		starts = append(starts, i)
	}
}

func (x *lineIndex) at(offset int) Position {
	offset = max(0, min(offset, len(x.text)))
	line := sort.SearchInts(x.starts, offset+1)
	start := x.starts[line-1]
	return Position{Offset: x.before + offset, Line: line, Column: 1 + utf8.RuneCountInString(x.text[start:offset])}
}

// cursor finds the positions of rising offsets in one pass, also in a source of one long line.
type cursor struct {
	lines  *lineIndex
	last   Position
	offset int // of last, in the text
}

func (c *cursor) at(offset int) Position {
	if c.last.Line == 0 || offset < c.offset || strings.IndexByte(c.lines.text[c.offset:offset], '\n') >= 0 {
		c.last, c.offset = c.lines.at(offset), offset
		return c.last
	}
	c.last.Column += utf8.RuneCountInString(c.lines.text[c.offset:offset])
	c.last.Offset += offset - c.offset
	c.offset = offset
	return c.last
}

// invalidUTF8 returns the offset of the first byte of s that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return i
		}
	}
	return -1
}
