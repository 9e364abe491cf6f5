package event

import (
	"fmt"
	"slices"
	"strings"
)

// Validate is [Filter.Err] and also reports patterns that match no type, so that a misspelt one is not silent for ever.
// Types are those of the catalogue and own, the host's. Without own a pattern may stand for a type of the host's, so it
// is only reported when it is nearly one of the catalogue, or begins with "tocsin.". The error joins an [*InvalidError]
// for each.
func (f Filter) Validate(own ...Type) error {
	if err := f.Err(); err != nil {
		return err
	}
	return join(f.unmatched(append(Catalogue(), own...), len(own) > 0))
}

// unmatched returns what is wrong with the patterns of f; strict says that known are all types that there are.
func (f Filter) unmatched(known []Type, strict bool) []error {
	if f.n == nil {
		return nil
	}
	var errs []error
	for i, p := range f.n.patterns {
		if slices.ContainsFunc(known, p.match) {
			continue
		}
		like := p.nearest(known)
		if like == "" && !strict && !p.own() {
			continue
		}
		remedy := "use a type of the catalogue, or name the host's own types"
		if like != "" {
			remedy = fmt.Sprintf("did you mean %q? If it is the host's own, name the host's types", like)
		}
		errs = append(errs, &InvalidError{
			Field: fmt.Sprintf("patterns[%d]", i), Problem: fmt.Sprintf("is %q, which matches no type of events", p.text), Remedy: remedy,
		})
	}
	for _, part := range f.n.parts {
		errs = append(errs, part.unmatched(known, strict)...)
	}
	return errs
}

// nearest returns the type, or the prefix of types, that the pattern was probably to be; "" if none is near.
func (p pattern) nearest(known []Type) string {
	best, least := "", 3
	for _, t := range known {
		candidate, most := string(t), 1
		family, _, _ := strings.Cut(candidate, ".")
		switch {
		case !p.whole:
			candidate = family + ".*"
		case strings.HasPrefix(p.text, family+"."):
			most = 2
		}
		if d := distance(p.text, candidate); d <= most && d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many bytes have to be changed, added, left out or swapped with their neighbour to make b of a. Both
// have at most maxTypeLength.
func distance(a, b string) int {
	var rows [3][maxTypeLength + 3]int // of a "*" behind a type as well
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row := &rows[(i+1)%3], &rows[(i-1)%3], &rows[i%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
