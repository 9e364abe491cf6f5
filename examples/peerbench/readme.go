package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	sectionBegins = "<!-- peerbench -->\n"
	sectionEnds   = "<!-- /peerbench -->"
)

var errNoSection = errors.New("has no line " + strings.TrimSpace(sectionBegins) + " with " + sectionEnds + " below it")

// rewrite puts the section into a file, between the two lines that mark its place.
func rewrite(name, section string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), sectionBegins)
	_, after, closed := strings.Cut(rest, sectionEnds)
	if !found || !closed {
		return fmt.Errorf("%s %w", name, errNoSection)
	}
	return os.WriteFile(name, []byte(before+sectionBegins+section+sectionEnds+after), 0o644)
}

// section is the run in short, for a README.
func (r report) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "![Processor time of Tocsin beside others](examples/peerbench/results/chart.svg)\n\n")
	fmt.Fprintf(&b, "%s. Processor time in medians; in parentheses × the least that could do the work, in the same round.\n\n", r.Machine)
	var rows [][]string
	for _, o := range r.Contests {
		if o.contest.costless || o.contest.ownOnly {
			continue
		}
		var own, others []string
		for _, e := range o.Entrants {
			line := fmt.Sprintf("%s %s (%s)", strings.TrimPrefix(e.Name, "Tocsin, "), nanoseconds(e.CPU.Median), figure(e.Ratio.Median))
			if strings.HasPrefix(e.Name, "Tocsin") {
				own = append(own, line)
			} else {
				others = append(others, line)
			}
		}
		rows = append(rows, []string{o.Title + ", per " + o.Unit, strings.Join(own, "<br>"), strings.Join(others, "<br>")})
	}
	table(&b, []string{"", "Tocsin", "others"}, rows)
	met, missed := 0, []string(nil)
	for _, v := range r.Targets {
		if v.Met {
			met++
			continue
		}
		line := fmt.Sprintf("- %s, %s: %s %s, wanted %s.", v.Contest, strings.TrimPrefix(v.Entrant, "Tocsin, "), v.What, figure(v.Measured), v.Wanted)
		if v.Why != "" {
			line += " " + v.Why
		}
		missed = append(missed, line)
	}
	fmt.Fprintf(&b, "\n%d of %d [targets](examples/peerbench/target.go) are met.", met, len(r.Targets))
	if len(missed) > 0 {
		fmt.Fprintf(&b, " Missed:\n\n%s", strings.Join(missed, "\n"))
	}
	fmt.Fprintf(&b, "\n\nAll figures, what each contender does besides, and how cost grows with routes and backlog: "+
		"[results.md](examples/peerbench/results/results.md). Repeat it with `%s` in `examples/peerbench`.\n", r.Command)
	return b.String()
}
