package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartWidth = 860
	labelWidth = 290
	barHeight  = 16
	rowHeight  = 22
	titleSpace = 34
	valueSpace = 70
)

const chartStyle = `text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}.own{fill:#1f6feb}
.floor{fill:#57606a}.peer{fill:#afb8c1}@media (prefers-color-scheme:dark){text{fill:#e6edf3}.own{fill:#58a6ff}.floor{fill:#8b949e}
.peer{fill:#484f58}}`

// chart draws, for each contest of costs, a bar for each entrant: its processor time, on a scale on which ten times as much is
// always the same length.
func chart(w io.Writer, r report) error {
	var b strings.Builder
	y := 0
	for _, o := range r.Contests {
		if o.contest.costless || o.contest.ownOnly {
			continue
		}
		fmt.Fprintf(&b, `<text class="title" x="0" y="%d">%s: processor time per %s, logarithmic</text>`+"\n", y+20, html.EscapeString(o.Title), o.Unit)
		y += titleSpace
		longest := 0.0
		for _, e := range o.Entrants {
			longest = max(longest, math.Log10(e.CPU.Median/o.least()))
		}
		for i, e := range o.Entrants {
			class := "peer"
			if strings.HasPrefix(e.Name, "Tocsin") {
				class = "own"
			} else if i == 0 {
				class = "floor"
			}
			// The least has a bar, too.
			const stub = 12
			length := stub + (chartWidth-labelWidth-valueSpace-stub)*math.Log10(e.CPU.Median/o.least())/max(longest, 1)
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect class="%s" x="%d" y="%d" width="%.0f" height="%d" rx="2"/>`+
				`<text x="%.0f" y="%d">%s</text>`+"\n", labelWidth-8, y+13, html.EscapeString(e.Name), class, labelWidth, y, length, barHeight,
				labelWidth+length+6, y+13, nanoseconds(e.CPU.Median))
			y += rowHeight
		}
		y += rowHeight / 2
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>Processor time of Tocsin and of others, logarithmic; %s</title>
<style>%s</style>
%s</svg>
`, chartWidth, y, chartWidth, y, html.EscapeString(r.Machine.String()), chartStyle, b.String())
	return err
}

// least is the processor time of the cheapest.
func (o outcome) least() float64 {
	least := math.Inf(1)
	for _, e := range o.Entrants {
		least = min(least, e.CPU.Median)
	}
	return least
}

// nanoseconds writes a time as people do.
func nanoseconds(ns float64) string {
	switch {
	case ns >= 1e6:
		return figure(ns/1e6) + " ms"
	case ns >= 1e3:
		return figure(ns/1e3) + " µs"
	}
	return figure(ns) + " ns"
}
