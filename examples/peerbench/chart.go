package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

const (
	chartWidth = 860
	labelWidth = 330
	valueWidth = 70
	barHeight  = 16
	rowHeight  = 22
	headHeight = 40
)

// charted are the contests that are drawn: those whose first entrant is the least that could do the work.
var charted = [...]string{"fan-out", "http", "durable", "dedup"} //nolint:gochecknoglobals // a read-only list

// chart draws the processor time of each entrant beside the floor's, on a logarithmic scale, as SVG. It has colours for
// light and dark surroundings.
func (r report) chart() string {
	var s strings.Builder
	y := 58
	for _, name := range charted {
		for _, o := range r.Contests {
			if o.Name == name {
				y = o.bars(&s, y)
			}
		}
	}
	caption := fmt.Sprintf("%s, %s, Go %s, %s", r.Machine.processor(), r.Machine.System, strings.TrimPrefix(r.Machine.Go, "go"),
		r.Machine.When.Format("2006-01-02"))
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">
<title>Processor time beside the floor</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600; font-size: 14px }
.small { fill: #59636e }
.peer { fill: #8c959f }
.ours { fill: #1a7f64 }
.grid { stroke: #8c959f; stroke-opacity: .35 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .peer { fill: #6e7681 }
  .ours { fill: #2ea886 }
}
</style>
<text class="head" x="10" y="22">Processor time beside the floor (1 ×), logarithmic: shorter is better</text>
<text class="small" x="10" y="40">%s</text>
%s</svg>
`, chartWidth, y, escaped(caption), s.String())
}

// bars draws one contest from y on and returns where it ends.
func (o outcome) bars(s *strings.Builder, y int) int {
	fmt.Fprintf(s, "<text class=\"head\" x=\"10\" y=\"%d\">%s</text>\n", y+24, escaped(o.Title))
	top := y + headHeight
	bottom := top + rowHeight*len(o.Entrants)
	var most float64
	for _, e := range o.Entrants {
		most = max(most, e.Ratio.Median)
	}
	x := scale(most)
	for mark := 1.0; mark <= most; mark *= 10 {
		fmt.Fprintf(s, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1[1]f\" y1=\"%d\" y2=\"%d\"/>\n", x(mark), top-6, bottom)
		fmt.Fprintf(s, "<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s ×</text>\n", x(mark), top-10, figure(mark))
	}
	for i, e := range o.Entrants {
		class := "peer"
		if e.ours() {
			class = "ours"
		}
		row := top + i*rowHeight
		end := x(e.Ratio.Median)
		fmt.Fprintf(s, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-8, row+13, escaped(shortened(e.Name)))
		fmt.Fprintf(s, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n",
			class, labelWidth, row, max(1, end-labelWidth), barHeight)
		fmt.Fprintf(s, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", end+6, row+13, figure(e.Ratio.Median))
	}
	return bottom + 14
}

// scale puts half the floor's time at the beginning, so that a bar of 1 × can be seen, and the most at the end.
func scale(most float64) func(v float64) float64 {
	const least = 0.5
	wide := math.Log(max(most, 10) / least)
	return func(v float64) float64 {
		return labelWidth + math.Log(max(v, least)/least)/wide*(chartWidth-labelWidth-valueWidth)
	}
}

func shortened(name string) string {
	const most = 50
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

func escaped(text string) string {
	var s strings.Builder
	_ = xml.EscapeText(&s, []byte(text)) // a Builder takes everything
	return s.String()
}
