package config

import (
	"maps"
	"slices"
	"strings"
)

// names lists the keys of m in order.
func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// suggestion ends a remedy with what was probably meant, or else with what there is.
func suggestion(name string, candidates []string) string {
	const most = 10
	if like := similar(name, candidates); like != "" {
		return "; did you mean " + quoted(like) + "?"
	}
	if len(candidates) == 0 || len(candidates) > most {
		return ""
	}
	all := make([]string, len(candidates))
	for i, c := range candidates {
		all[i] = quoted(c)
	}
	return ": " + strings.Join(all, ", ")
}
