package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The part of a README between these lines is this program's.
const (
	sectionBegin = "<!-- peerbench -->"
	sectionEnd   = "<!-- /peerbench -->"
)

var errNoSection = errors.New("no lines " + sectionBegin + " and " + sectionEnd)

// rewrite puts the short form of the report into the file.
func (r report) rewrite(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(sectionBegin+"\n"))
	_, after, ended := bytes.Cut(rest, []byte(sectionEnd+"\n"))
	if !ok || !ended {
		return fmt.Errorf("%s: %w", name, errNoSection)
	}
	var out bytes.Buffer
	out.Write(before)
	fmt.Fprintln(&out, sectionBegin)
	r.short(&out)
	fmt.Fprintln(&out, sectionEnd)
	out.Write(after)
	return os.WriteFile(name, out.Bytes(), 0o644)
}

// short writes what a README has room for.
func (r report) short(w io.Writer) {
	fmt.Fprintf(w, "Measured in one run, in turns, medians of the rounds: `%s` in [examples/peerbench](examples/peerbench), %s. "+
		"Only compare what is in one table: times depend on the machine. All figures with their spread, growth, retries and "+
		"templates, and what each peer does and does not do: [results](examples/peerbench/results/report.md).\n\n", r.Command, r.Machine)
	fmt.Fprintln(w, "![Processor time of Tocsin and its peers beside the floor](examples/peerbench/results/chart.svg)")
	for _, name := range charted {
		for _, o := range r.Contests {
			if o.Name == name {
				o.short(w)
			}
		}
	}
	r.shortTargets(w)
}

func (o outcome) short(w io.Writer) {
	fmt.Fprintf(w, "\n**%s.** %s\n\n", o.Title, o.contest.work)
	head := []string{"", "CPU ns per " + o.Unit, "×", o.plural() + " per second"}
	head = append(head, o.contest.metrics...)
	var rows [][]string
	for _, e := range o.Entrants {
		row := []string{e.Name, figure(e.CPU.Median), figure(e.Ratio.Median), figure(e.Rate.Median)}
		for _, m := range o.contest.metrics {
			row = append(row, figure(metric(m)(e).Median))
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// shortTargets writes how many targets were met, and each that was not.
func (r report) shortTargets(w io.Writer) {
	count := map[string]int{}
	var rows [][]string
	for _, t := range r.Targets {
		count[t.Verdict]++
		if t.Verdict != met {
			rows = append(rows, []string{t.Contest, t.What, t.Goal, t.Measured, strings.TrimSuffix(t.Verdict+": "+t.Why, ": ")})
		}
	}
	fmt.Fprintf(w, "\n**Targets.** %d of %d are met in this run", count[met], len(r.Targets))
	if len(rows) == 0 {
		fmt.Fprintln(w, ".")
		return
	}
	fmt.Fprint(w, "; the others:\n\n")
	table(w, []string{"contest", "", "target", "measured", "why"}, rows)
}
