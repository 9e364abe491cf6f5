package config

import "strings"

// similar returns the candidate that name was probably meant to be, or "".
func similar(name string, candidates []string) string {
	const most = 40
	name = plain(name)
	if name == "" || len(name) > most {
		return ""
	}
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		other := plain(c)
		if other == name {
			return c
		}
		if d := distance(name, other); d < least || d == least && best == "" {
			best, least = c, d
		}
	}
	return best
}

// plain leaves out what people spell in different ways.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// distance is how many letters have to be changed, added, left out or swapped with their neighbour.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
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
		before, last = last, row
	}
	return last[len(b)]
}
