package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"
)

// report is a run as it is written.
type report struct {
	Command  string      `json:"command"`
	Machine  machine     `json:"machine"`
	Contests []outcome   `json:"contests"`
	Targets  []judgement `json:"targets"`
}

// columns is how much a table shows.
type columns int

const (
	medians columns = iota // for a terminal
	spreads                // with least and most
)

// summary writes what a terminal has room for: the medians.
func (r report) summary(w io.Writer) {
	fmt.Fprintf(w, "%s\n\nMedians over the rounds. CPU is processor time per unit, × that time divided by the first row's in the same round.\n"+
		"M = million, k = thousand. With -results DIR also least and most, and what each entrant does besides. A short run is a\n"+
		"first look: quote figures of -full on a quiet machine.\n", r.Machine)
	for _, o := range r.Contests {
		fmt.Fprintf(w, "\n%s (-only %s)\n%s\n\n", o.Title, o.Name, wrapped(o.contest.work, 100))
		o.table(w, medians, o.Entrants)
	}
	if len(r.Targets) > 0 {
		fmt.Fprintf(w, "\nTargets\n\n")
		table(w, judgementHead(), judgementRows(r.Targets))
	}
}

// markdown writes everything.
func (r report) markdown(w io.Writer) {
	fmt.Fprintf(w, "`%s`, %s.\n\nPeers: %s.\n\n", r.Command, r.Machine, strings.Join(r.Machine.Modules, ", "))
	fmt.Fprintln(w, "Medians over the rounds, least and most in parentheses. CPU is processor time per unit, × that time divided by the "+
		"first row's in the same round. M = million, k = thousand.")
	for _, o := range r.Contests {
		fmt.Fprintf(w, "\n### %s\n\n%s\n\n", o.Title, o.contest.work)
		o.table(w, spreads, o.Entrants)
		o.traitTable(w)
	}
	fmt.Fprintf(w, "\n### Targets\n\n")
	table(w, judgementHead(), judgementRows(r.Targets))
	explain(w, r.Targets)
}

// table writes the figures of some of a contest's entrants.
func (o outcome) table(w io.Writer, show columns, entrants []result) {
	text := func(s spread) string {
		if show == spreads {
			return s.String()
		}
		return figure(s.Median)
	}
	head := []string{"per " + o.Unit}
	if !o.contest.costless {
		head = append(head, "CPU ns", "×", "a second", "allocations")
	}
	head = append(head, o.contest.metrics...)
	var rows [][]string
	for _, e := range entrants {
		row := []string{e.Name}
		if !o.contest.costless {
			row = append(row, text(e.CPU), text(e.Ratio), text(e.Rate), text(e.Allocations))
		}
		for _, m := range o.contest.metrics {
			cell := ""
			if s, ok := e.Metrics[m]; ok {
				cell = text(s)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// traitTable says what each entrant does besides.
func (o outcome) traitTable(w io.Writer) {
	if o.contest.traits == nil {
		return
	}
	fmt.Fprintf(w, "\nWhat each does besides:\n\n")
	var rows [][]string
	for _, e := range o.contest.entrants {
		if e.traits != nil {
			rows = append(rows, append([]string{e.name}, e.traits...))
		}
	}
	table(w, append([]string{""}, o.contest.traits...), rows)
}

func judgementHead() []string { return []string{"contest", "what", "target", "measured", "verdict"} }

func judgementRows(all []judgement) [][]string {
	var rows [][]string
	for _, j := range all {
		rows = append(rows, []string{j.Contest, j.What, j.Target, j.Measured, j.Verdict})
	}
	return rows
}

// explain writes what a reader should know of targets that were missed.
func explain(w io.Writer, all []judgement) {
	for _, j := range all {
		if j.Why != "" {
			fmt.Fprintf(w, "\n%s, %s: %s.\n", j.Contest, j.What, j.Why)
		}
	}
}

// table writes a Markdown table whose columns are aligned.
func table(w io.Writer, head []string, rows [][]string) {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, "|")
	}
	line(head)
	for _, width := range widths {
		fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
	}
	fmt.Fprintln(w, "|")
	for _, row := range rows {
		line(row)
	}
}

// wrapped breaks text into lines of at most width characters.
func wrapped(text string, width int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch n := utf8.RuneCountInString(word); {
		case column == 0:
			column = n
		case column+1+n > width:
			out.WriteByte('\n')
			column = n
		default:
			out.WriteByte(' ')
			column += 1 + n
		}
		out.WriteString(word)
	}
	return out.String()
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

// The part of a README between these lines is this program's.
const (
	sectionBegin = "<!-- peerbench -->"
	sectionEnd   = "<!-- /peerbench -->"
)

var errNoSection = errors.New("no lines " + sectionBegin + " and " + sectionEnd)

// rewrite puts the part of the report that a README has room for into the file.
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
	r.section(&out)
	fmt.Fprintln(&out, sectionEnd)
	out.Write(after)
	return os.WriteFile(name, out.Bytes(), 0o644)
}

// section writes the chart, of the first three charted contests the floor, Tocsin and the cheapest peer, and the
// targets.
func (r report) section(w io.Writer) {
	fmt.Fprintf(w, "`%s` in [examples/peerbench](examples/peerbench): %s.\n"+
		"All are measured in one run, in turns; the figures are medians of the rounds. Compare only what is in one table: times depend\n"+
		"on the machine. The tables show the floor, Tocsin and the peer that needs least processor time; the chart shows all of them.\n"+
		"[Everything](examples/peerbench/results/report.md), with spreads and with what each peer does and does not do.\n\n", r.Command, r.Machine)
	fmt.Fprintln(w, "![Processor time of Tocsin and its peers beside the floor](examples/peerbench/results/chart.svg)")
	for _, name := range charted[:3] {
		for _, o := range r.Contests {
			if o.Name == name {
				fmt.Fprintf(w, "\n**%s.** %s\n\n", o.Title, o.contest.work)
				o.table(w, medians, o.leading())
			}
		}
	}
	reached, others := 0, []judgement(nil)
	for _, j := range r.Targets {
		if j.Verdict == met {
			reached++
		} else {
			others = append(others, j)
		}
	}
	fmt.Fprintf(w, "\n**Targets.** %d of %d are met in this run", reached, len(r.Targets))
	if len(others) == 0 {
		fmt.Fprintln(w, ".")
		return
	}
	fmt.Fprint(w, "; the others:\n\n")
	table(w, judgementHead(), judgementRows(others))
	explain(w, others)
}

// leading are the floor, Tocsin and the peer that needs least processor time.
func (o outcome) leading() []result {
	best := -1
	for i, e := range o.Entrants {
		if i > 0 && !e.ours() && (best < 0 || e.CPU.Median < o.Entrants[best].CPU.Median) {
			best = i
		}
	}
	var all []result
	for i, e := range o.Entrants {
		if i == 0 || i == best || e.ours() {
			all = append(all, e)
		}
	}
	return all
}

// ours reports whether it is Tocsin, not a peer.
func (r result) ours() bool { return strings.HasPrefix(r.Name, "Tocsin") }

// machine is where and with what a run was made.
type machine struct {
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	System    string    `json:"system"`
	Go        string    `json:"go"`
	Load      string    `json:"load"` // before the run, "" = not known: what else the machine does
	When      time.Time `json:"when"`
	Modules   []string  `json:"modules"` // the libraries that are compared
}

func thisMachine() machine {
	m := machine{
		Processor: firstField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), When: time.Now().UTC().Truncate(time.Minute), Modules: peers(),
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

// String is the machine in one line.
func (m machine) String() string {
	s := m.processor() + ", " + m.System + ", " + m.Go + ", " + m.When.Format("2006-01-02 15:04 MST")
	if m.Load != "" {
		s += ", load " + m.Load + " before the run"
	}
	return s
}

func (m machine) processor() string {
	s := fmt.Sprintf("%d cores", m.Cores)
	if m.Processor != "" {
		s += " of " + m.Processor
	}
	return s
}

// firstField is the value of the first line "name : value" in a file; "" = there is none.
func firstField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// peers are the modules compared, with their versions, as they are linked into this program.
func peers() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	compared := map[string]bool{}
	for _, name := range []string{
		"github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-http/v2", "github.com/nikoksr/notify",
		"github.com/hashicorp/eventlogger", "github.com/prometheus/alertmanager", "github.com/nicholas-fedor/shoutrrr",
		"github.com/cloudevents/sdk-go/v2", "github.com/standard-webhooks/standard-webhooks/libraries",
		"github.com/patrickmn/go-cache", "github.com/hashicorp/golang-lru/v2", "github.com/jellydator/ttlcache/v3",
		"github.com/maypok86/otter/v2", "github.com/aymerick/raymond", "github.com/riverqueue/river", "modernc.org/sqlite",
	} {
		compared[name] = true
	}
	var all []string
	for _, m := range info.Deps {
		if compared[m.Path] {
			all = append(all, path.Clean(strings.TrimPrefix(m.Path, "github.com/"))+" "+m.Version)
		}
	}
	return all
}
