package template

import "strings"

// speller looks for the name that a misspelling means. Its work is bounded: a template of nothing but misspellings,
// over an example of many fields, gets suggestions for the first of them.
type speller struct{ cells int }

// suggestionCells bounds the cells of edit distances that one speller fills: some 10,000 comparisons of ordinary names.
const suggestionCells = 1 << 20

func newSpeller() *speller { return &speller{cells: suggestionCells} }

// closest returns the candidate that name is most likely a misspelling of, or "".
func (s *speller) closest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	squeezed := squeeze(name)
	best, found := 1+max(1, len(name)/3), ""
	for _, c := range candidates {
		if c == name || len(c) > 64 {
			continue
		}
		if s.cells -= len(name) + len(c); s.cells < 0 {
			break
		}
		d := max(len(name)-len(c), len(c)-len(name))
		switch {
		case squeezed == squeeze(c):
			d = 0
		case d < best:
			s.cells -= len(name) * len(c)
			d = editDistance(strings.ToLower(name), strings.ToLower(c))
		}
		if d < best {
			best, found = d, c
		}
	}
	return found
}

// closest is a speller's for one name.
func closest(name string, candidates []string) string { return newSpeller().closest(name, candidates) }

// squeeze makes friendlyId, friendly_id and friendly-id the same.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}
