package main

import (
	"fmt"
	"io"
	"math"
)

// goal is something that Tocsin is meant to reach.
type goal struct {
	contest string
	what    string
	// least or most; the other is 0.
	least, most float64
	unit        string
	value       func(f figures) float64
	// why is what is known about missing it.
	why string
}

// target is a goal and what became of it.
type target struct {
	Contest  string `json:"contest"`
	What     string `json:"what"`
	Goal     string `json:"target"`
	Measured string `json:"measured"`
	Verdict  string `json:"verdict"` // met, missed, not measured
	Why      string `json:"why,omitempty"`
}

const (
	met         = "met"
	missed      = "missed"
	notMeasured = "not measured"
)

// judge compares the goals of the contests that were run with what was measured.
func judge(p programme, outcomes []outcome) []target {
	f := figuresOf(outcomes)
	var all []target
	for _, g := range goals(p) {
		if _, run := f[g.contest]; run {
			all = append(all, g.judge(f))
		}
	}
	return all
}

func (g goal) judge(f figures) target {
	v := g.value(f)
	t := target{Contest: g.contest, What: g.what, Goal: "at most " + figure(g.most) + g.unit, Measured: figure(v) + g.unit, Verdict: met}
	reached := v <= g.most
	if g.least != 0 {
		t.Goal, reached = "at least "+figure(g.least)+g.unit, v >= g.least
	}
	switch {
	case math.IsNaN(v):
		t.Verdict, t.Measured, t.Why = notMeasured, figure(v), g.why
	case !reached:
		t.Verdict, t.Why = missed, g.why
	}
	return t
}

// targetTable writes all goals and what became of them.
func targetTable(w io.Writer, all []target) {
	fmt.Fprintf(w, "\n### Targets\n\n")
	var rows [][]string
	for _, t := range all {
		verdict := t.Verdict
		if t.Why != "" {
			verdict += ": " + t.Why
		}
		rows = append(rows, []string{t.Contest, t.What, t.Goal, t.Measured, verdict})
	}
	table(w, []string{"contest", "", "target", "measured", ""}, rows)
}
