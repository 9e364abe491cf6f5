package main

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// spread is one figure over all rounds.
type spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

// MarshalJSON writes null for what JSON has no number for: never, and not measured.
func (s spread) MarshalJSON() ([]byte, error) {
	number := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	return json.Marshal(map[string]*float64{"median": number(s.Median), "min": number(s.Min), "max": number(s.Max)})
}

// String is the median, with least and most behind it where they differ.
func (s spread) String() string {
	if least, most := figure(s.Min), figure(s.Max); least != most {
		return figure(s.Median) + " (" + least + "–" + most + ")"
	}
	return figure(s.Median)
}

// figure shows three significant digits, because there are no more in it.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "never"
	case v == math.Trunc(v) && size < 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 999_500:
		return strconv.FormatFloat(v/1e6, 'f', digits(size/1e6), 64) + " M"
	case size >= 9_995:
		return strconv.FormatFloat(v/1e3, 'f', digits(size/1e3), 64) + " k"
	default:
		return strconv.FormatFloat(v, 'f', digits(size), 64)
	}
}

func digits(size float64) int {
	switch {
	case size >= 99.95:
		return 0
	case size >= 9.995:
		return 1
	default:
		return 2
	}
}

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
