package dispatcher

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// statusWidth is how wide the table of WriteStatus may be: two columns are left for an indentation.
const statusWidth = 118

// WriteStatus prints a table for people, a line for each route, at most 118 columns wide: what it is, how it is doing,
// and what waits. Times are in UTC: of the last success, or since when it has been failing, and then its last error.
// Names and errors are cut to fit, and what does not print in them is escaped, so that nothing can forge a line or move
// the terminal's cursor. The table's form may change; programs use RouteStatus.
func WriteStatus(w io.Writer, all []RouteStatus) error {
	rows := [][]string{{"ROUTE", "TENANT", "DESTINATION", "EVENTS", "STATE", "HEALTH", "QUEUED", "DEAD", "P99", "LAST ERROR"}}
	for _, s := range all {
		health, lastError := s.Health(), ""
		if !s.FailingSince.IsZero() {
			health, lastError = "failing since "+stamp(s.FailingSince), printable(s.LastError)
		} else if !s.LastSuccess.IsZero() {
			health += " " + stamp(s.LastSuccess)
		}
		destination := printable(strings.TrimPrefix(s.Destination, "https://"))
		rows = append(rows, []string{printable(s.Route.Name), printable(s.Route.Tenant), destination, printable(s.Events), s.Condition(),
			health, counted(s.Queued), counted(s.DeadLetters), rough(s.P99), lastError})
	}
	widths := columnWidths(rows, map[int]int{0: 8, 1: 6, 2: 12, 3: 8, 9: 16}) // the texts of any length
	table := tabwriter.NewWriter(w, 0, 8, columnGap, ' ', 0)
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			row[i] = shortened(cmp.Or(cell, "-"), widths[i])
		}
		b.WriteString(strings.Join(row, "\t") + "\n")
	}
	if _, err := io.WriteString(table, b.String()); err != nil {
		return err
	}
	return table.Flush()
}

const columnGap = 2

// columnWidths are the widths of the longest cells. The flexible columns are narrowed until a row fits, first the one
// that is the most above the width given for it.
func columnWidths(rows [][]string, flexible map[int]int) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := (len(widths) - 1) * columnGap
	for _, n := range widths {
		total += n
	}
	columns := slices.Sorted(maps.Keys(flexible))
	for ; total > statusWidth; total-- {
		widest := slices.MaxFunc(columns, func(a, b int) int { return cmp.Compare(widths[a]-flexible[a], widths[b]-flexible[b]) })
		widths[widest]--
	}
	return widths
}

// shortened returns at most n characters of text.
func shortened(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// printable escapes what does not print.
func printable(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func stamp(at time.Time) string { return at.UTC().Format("01-02 15:04") }

// counted prints a number that may be unknown.
func counted(n int) string {
	if n < 0 {
		return "?"
	}
	return strconv.Itoa(n)
}

// rough prints a duration with two digits, which is more than is known of it.
func rough(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return fmt.Sprint(d.Round(unit))
}
