package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// report is a run as it is written.
type report struct {
	Command  string    `json:"command"`
	Machine  machine   `json:"machine"`
	Contests []outcome `json:"contests"`
	Targets  []target  `json:"targets"`
}

// markdown writes the tables.
func (r report) markdown(w io.Writer) {
	fmt.Fprintf(w, "`%s`, %s.\n\n", r.Command, r.Machine)
	fmt.Fprintf(w, "Peers: %s.\n\n", strings.Join(r.Machine.Modules, ", "))
	fmt.Fprintln(w, "Medians over the rounds, least and most in parentheses. × is processor time divided by the first row's in the "+
		"same round. M = million, k = thousand.")
	for _, o := range r.Contests {
		o.markdown(w)
	}
	targetTable(w, r.Targets)
}

func (o outcome) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n%s\n\n", o.Title, o.contest.work)
	head := []string{""}
	if !o.contest.costless {
		head = append(head, "CPU ns per "+o.Unit, "×", o.plural()+" per second", "allocations")
	}
	head = append(head, o.contest.metrics...)
	var rows [][]string
	for _, e := range o.Entrants {
		row := []string{e.Name}
		if !o.contest.costless {
			row = append(row, e.CPU.String(), e.Ratio.String(), e.Rate.String(), e.Allocations.String())
		}
		for _, m := range o.contest.metrics {
			cell := ""
			if s, ok := e.Metrics[m]; ok {
				cell = s.String()
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
	if o.contest.traits == nil {
		return
	}
	fmt.Fprintf(w, "\nWhat each does besides:\n\n")
	rows = nil
	for _, e := range o.contest.entrants {
		if e.traits == nil {
			continue
		}
		rows = append(rows, append([]string{e.name}, e.traits...))
	}
	table(w, append([]string{""}, o.contest.traits...), rows)
}

// plural is good for the units there are.
func (o outcome) plural() string {
	if strings.HasSuffix(o.Unit, "y") {
		return strings.TrimSuffix(o.Unit, "y") + "ies"
	}
	return o.Unit + "s"
}

func table(w io.Writer, head []string, rows [][]string) {
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// save writes the tables, the figures as JSON and the chart into a folder.
func (r report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	figures, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var tables bytes.Buffer
	r.markdown(&tables)
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "report.json"), append(figures, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "report.md"), tables.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "chart.svg"), []byte(r.chart()), 0o644),
	)
}
