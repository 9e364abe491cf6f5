package config

import (
	"maps"
	"slices"
	"strings"
)

// Suggestions are a help for people, whose documents have a few mistakes among a few names. They cost the product
// of both, so that a document gets no more of them once it has had so many comparisons.
const (
	maxCompared   = 50_000 // candidates
	maxComparable = 40     // bytes of a name that is compared
)

// suggester finds what a misspelt name was probably meant to be, within the budget of one document.
type suggester struct{ compared int }

// similar returns the candidate that name was probably meant to be, or "".
func (s *suggester) similar(name string, candidates []string) string {
	name = plain(name)
	if name == "" || len(name) > maxComparable || s.compared+len(candidates) > maxCompared {
		return ""
	}
	s.compared += len(candidates)
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		other := plain(c)
		if other == name {
			return c
		}
		if difference := len(name) - len(other); max(difference, -difference) > least || len(other) > maxComparable {
			continue // which the distance cannot be less than
		}
		if d := distance(name, other); d < least || d == least && best == "" {
			best, least = c, d
		}
	}
	return best
}

// among ends a remedy with what was probably meant, or else with what there is.
func among[T any](s *suggester, name string, candidates map[string]T) string {
	return amongNames(s, name, len(candidates), func() []string { return names(candidates) })
}

// amongNames is among for n candidates, which are listed in order when they are needed.
func amongNames(s *suggester, name string, n int, list func() []string) string {
	const most = 10
	if n <= maxCompared-s.compared {
		if like := s.similar(name, list()); like != "" {
			return "; did you mean " + quoted(like) + "?"
		}
	}
	if n == 0 || n > most {
		return ""
	}
	all := list()
	for i, c := range all {
		all[i] = quoted(c)
	}
	return ": " + strings.Join(all, ", ")
}

// names lists the keys of m in order.
func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// plain leaves out what people spell in different ways.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// distance is how many letters have to be changed, added, left out or swapped with their neighbour. Neither text
// is longer than maxComparable.
func distance(a, b string) int {
	var rows [3][maxComparable + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
