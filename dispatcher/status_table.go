package dispatcher

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// maxErrorWidth is the most characters of an error in the table; the whole text is in RouteStatus.
const maxErrorWidth = 100

// WriteStatus prints a table for people, a line for each route: what it is, how it is doing, and what waits. Times are
// in UTC. Characters of names and errors that do not print are escaped, so that nothing can forge a line or move the
// terminal's cursor. The table's form may change; programs use RouteStatus.
func WriteStatus(w io.Writer, all []RouteStatus) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	var b strings.Builder
	row := func(cells ...string) {
		b.WriteString(strings.Join(cells, "\t"))
		b.WriteByte('\n')
	}
	row("ROUTE", "TENANT", "DESTINATION", "EVENTS", "STATE", "HEALTH", "QUEUED", "SENDING", "DEAD", "P50", "P99", "LAST SUCCESS", "LAST ERROR")
	for _, s := range all {
		row(printable(s.Name), orDash(printable(s.Tenant)), orDash(printable(s.Destination)), printable(s.Events),
			s.Condition(), s.Health(), counted(s.Queued), counted(s.InFlight), counted(s.Dead), rough(s.P50), rough(s.P99),
			orDash(stamp(s.LastSuccess)), orDash(lastError(s)))
	}
	if _, err := io.WriteString(table, b.String()); err != nil {
		return err
	}
	return table.Flush()
}

// Health says in words whether the route delivers: "OK", "failing since" a time, or "-" when it has made no attempt
// yet.
func (s RouteStatus) Health() string {
	switch {
	case !s.FailingSince.IsZero():
		return "failing since " + stamp(s.FailingSince)
	case s.LastSuccess.IsZero():
		return "-"
	}
	return "OK"
}

func lastError(s RouteStatus) string {
	if s.LastError == "" {
		return ""
	}
	return stamp(s.LastErrorAt) + " " + printable(shortened(s.LastError, maxErrorWidth))
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

func orDash(text string) string { return cmp.Or(text, "-") }

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

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
