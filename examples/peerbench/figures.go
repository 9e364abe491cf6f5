package main

import "math"

// figures are the medians of a run, by contest, entrant and column.
type figures map[string]map[string]result

func figuresOf(outcomes []outcome) figures {
	f := figures{}
	for _, o := range outcomes {
		f[o.Name] = map[string]result{}
		for _, e := range o.Entrants {
			f[o.Name][e.Name] = e
		}
	}
	return f
}

// get is a figure; NaN = not measured.
func (f figures) get(contest, entrant string, column func(result) spread) float64 {
	r, ok := f[contest][entrant]
	if !ok {
		return math.NaN()
	}
	return column(r).Median
}

func ratio(r result) spread       { return r.Ratio }
func processor(r result) spread   { return r.CPU }
func rate(r result) spread        { return r.Rate }
func allocations(r result) spread { return r.Allocations }

// metric is a column of a contest's own.
func metric(name string) func(result) spread {
	return func(r result) spread {
		s, ok := r.Metrics[name]
		if !ok {
			return spreadOf(nil)
		}
		return s
	}
}
