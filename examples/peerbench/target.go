package main

import (
	"fmt"
	"io"
)

// target is what a figure of Tocsin's is meant to be. They were set from measurements of the peers and floors on another
// machine of the same size.
type target struct {
	contest, entrant string
	what             string
	measure          func(r result, o outcome) float64
	most, least      float64 // one of them
	why              string  // why it is missed, where it is
}

const (
	engineAsItComes = "Tocsin, as it comes"
	engineNoLimit   = "Tocsin, no time limit"
	wholeWay        = "Tocsin, the whole way through an engine"
	memoryDedup     = "Tocsin, dedup.Memory"
	memoryRetries   = "Tocsin, queue.Memory"
	sqliteJobs      = "Tocsin, sqlitequeue"
)

func targets() []target {
	ratio := func(r result, _ outcome) float64 { return r.Ratio.Median }
	rate := func(r result, _ outcome) float64 { return r.Rate.Median }
	allocations := func(r result, _ outcome) float64 { return r.Allocations.Median }
	metric := func(name string) func(result, outcome) float64 {
		return func(r result, _ outcome) float64 { return r.Metrics[name].Median }
	}
	// cheaper is how many times as much processor time a peer takes.
	cheaper := func(peer string) func(result, outcome) float64 {
		return func(r result, o outcome) float64 { return o.entrant(peer).CPU.Median / r.CPU.Median }
	}
	return []target{
		{contest: "fan-out", entrant: engineNoLimit, what: "CPU, × the floor", measure: ratio, most: 2.5, why: "The floor moves a " +
			"pointer through a buffer. What is left of a delivery is one reading of the clock, two lockings of its lane, and what " +
			"status, retries and observers are told. Taking several deliveries in one locking was tried and dropped."},
		{contest: "fan-out", entrant: engineNoLimit, what: "deliveries per second", measure: rate, least: 4e6},
		{contest: "fan-out", entrant: engineNoLimit, what: "allocations per delivery", measure: allocations, most: 0.6},
		{contest: "fan-out", entrant: engineNoLimit, what: "CPU of nikoksr/notify, × Tocsin's", measure: cheaper("nikoksr/notify"), least: 1.8,
			why: "notify calls its ten receivers at once and keeps nothing of them."},
		{contest: "fan-out", entrant: engineNoLimit, what: "CPU of Watermill Router, × Tocsin's", measure: cheaper("Watermill Router"), least: 35},
		{contest: "fan-out", entrant: engineAsItComes, what: "deliveries per second", measure: rate, least: 1e6},
		{contest: "fan-out", entrant: engineAsItComes, what: "allocations per delivery", measure: allocations, most: 6},
		{contest: "isolation", entrant: engineAsItComes + ", 1 publisher", what: "healthy deliveries within 100 ms, %", measure: metric("healthy: within 100 ms, %"), least: 100},
		{contest: "http", entrant: wholeWay, what: "CPU, × the floor", measure: ratio, most: 1.15, why: "The floor has no queue, " +
			"no guard, no signature, and keeps nothing of the answer."},
		{contest: "http", entrant: wholeWay, what: "new connections per 1,000", measure: metric("new connections per 1,000"), most: 2},
		{contest: "http", entrant: wholeWay, what: "allocations per delivery", measure: allocations, most: 55},
		{contest: "dedup", entrant: memoryDedup, what: "CPU, × the floor", measure: ratio, most: 1.2},
		{contest: "dedup", entrant: memoryDedup, what: "bytes per live key", measure: metric("bytes per live key"), most: 128},
		{contest: "dedup", entrant: memoryDedup, what: "repeats missed", measure: metric("repeats missed"), most: 0},
		{contest: "retries", entrant: memoryRetries, what: "bytes each, without the job", measure: metric("bytes each, without the job"), most: 64},
		{contest: "retries", entrant: memoryRetries, what: "latest, ms late", measure: metric("latest, ms late"), most: 100},
		{contest: "retries", entrant: memoryRetries, what: "CPU ns per retry", measure: func(r result, _ outcome) float64 { return r.CPU.Median }, most: 1200},
		{contest: "durable", entrant: sqliteJobs, what: "CPU of River, × Tocsin's", measure: cheaper("riverqueue/river, tuned"), least: 20},
	}
}

// verdict is a target and what was measured.
type verdict struct {
	Contest  string  `json:"contest"`
	Entrant  string  `json:"entrant"`
	What     string  `json:"what"`
	Wanted   string  `json:"wanted"`
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
	Why      string  `json:"why,omitempty"`
}

// judge compares the outcomes with those targets whose contest and entrants were run.
func judge(all []outcome) []verdict {
	var verdicts []verdict
	for _, t := range targets() {
		for _, o := range all {
			r := o.entrant(t.entrant)
			if o.Name != t.contest || r.Name == "" {
				continue
			}
			v := verdict{Contest: o.Title, Entrant: t.entrant, What: t.what, Measured: t.measure(r, o)}
			if t.least > 0 {
				v.Wanted, v.Met = "≥ "+figure(t.least), v.Measured >= t.least
			} else {
				v.Wanted, v.Met = "≤ "+figure(t.most), v.Measured <= t.most
			}
			if !v.Met {
				v.Why = t.why
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts
}

// entrant is the result of that name; empty = it did not take part.
func (o outcome) entrant(name string) result {
	for _, r := range o.Entrants {
		if r.Name == name {
			return r
		}
	}
	return result{}
}

// judgement writes the verdicts as a table.
func judgement(w io.Writer, verdicts []verdict) {
	fmt.Fprintf(w, "\n### Targets\n\n")
	var rows [][]string
	for _, v := range verdicts {
		met := "met"
		if !v.Met {
			met = "missed"
		}
		rows = append(rows, []string{v.Contest, v.Entrant, v.What, v.Wanted, figure(v.Measured), met, v.Why})
	}
	table(w, []string{"", "", "", "wanted", "measured", "", "why"}, rows)
}
