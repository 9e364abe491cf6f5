package template

import "strings"

// closest returns the candidate that name is most likely a misspelling of, or "".
func closest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	best, found := 1+max(1, len(name)/3), ""
	for _, c := range candidates {
		if c == name || len(c) > 64 {
			continue
		}
		d := editDistance(strings.ToLower(name), strings.ToLower(c))
		if squeeze(name) == squeeze(c) {
			d = 0
		}
		if d < best {
			best, found = d, c
		}
	}
	return found
}

// squeeze makes friendlyId, friendly_id and friendly-id the same.
func squeeze(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
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
