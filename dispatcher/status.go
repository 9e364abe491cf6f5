package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// RouteStatus is how one route is doing.
type RouteStatus struct {
	Route        RouteID
	Destination  string // where to, without secrets, as the channel gives it (channel.Addressed); "" = it does not
	Events       string // the route's filter in words
	State        State
	Gone         bool // the destination no longer exists; the lane is paused until SetRoutes
	AutoDisabled bool // it failed for Protection.DisableAfter; the lane is paused until SetRoutes
	// OpenUntil is when the breaker, which is open, lets the next probe through; zero = it is closed, or off.
	OpenUntil time.Time
	// ThrottledUntil is until when the receiver asked for no more requests (retry.Throttle), at most an hour; zero = it
	// did not.
	ThrottledUntil time.Time
	Queued         int // deliveries that wait, retries included; -1 when the queue cannot tell
	InFlight       int // sends running now; -1 when the queue cannot tell
	DeadLetters    int // kept; -1 when the queue cannot tell
	Delivered      int64
	Skipped        int64     // suppressed as duplicates
	Failed         int64     // failed attempts
	Dead           int64     // dead deliveries
	FailingSince   time.Time // first failed attempt since the last success, in this run of the program; zero = not failing
	LastSuccess    time.Time // zero = none yet
	LastError      string    // of the last failed attempt, also after a later success; "" = none yet
	LastErrorAt    time.Time
	// P50 and P99 are how long half and 99 % of the attempts took at most, to about an eighth, over the latest five to
	// ten minutes in which there were any. 0 = none yet.
	P50, P99 time.Duration
}

// Condition says in one word or two how far the route is in use: "gone", "auto-disabled", "breaker open", "throttled"
// by the receiver's own word, or its State.
func (s RouteStatus) Condition() string {
	switch {
	case s.State != Enabled:
		return s.State.String()
	case s.Gone:
		return "gone"
	case s.AutoDisabled:
		return "auto-disabled"
	case !s.OpenUntil.IsZero():
		return "breaker open"
	case !s.ThrottledUntil.IsZero():
		return "throttled"
	}
	return s.State.String()
}

// Health says in words whether the route delivers: "OK", "failing since" a time, or "-" when it has made no attempt
// yet.
func (s RouteStatus) Health() string {
	switch {
	case !s.FailingSince.IsZero():
		return "failing since " + s.FailingSince.UTC().Format(time.RFC3339)
	case s.LastSuccess.IsZero():
		return "-"
	}
	return "OK"
}

// Status describes every route, in the order configured. Counters and times begin with the route's first appearance in
// this Engine; what is queued and dead is the queue's, and outlasts a
// restart when that is durable. The queue is asked within ctx. What could not be counted is -1, and the error says why;
// everything else is there all the same.
func (e *Engine) Status(ctx context.Context) ([]RouteStatus, error) {
	routes := e.table.Load().all
	all := make([]RouteStatus, len(routes))
	names := make([]string, len(routes))
	for i, r := range routes {
		names[i] = r.lane.name
		s := &all[i]
		*s = RouteStatus{Route: r.ID(), State: r.State, Queued: -1, InFlight: -1, DeadLetters: -1,
			Destination: r.address(), Events: r.Events.String()}
		r.lane.mu.Lock()
		if r.lane.current.Load() == r {
			s.Gone, s.AutoDisabled = r.lane.gone, r.lane.autoDisabled
		}
		r.lane.mu.Unlock()
		s.OpenUntil, s.ThrottledUntil = r.destination.breaker.times()
		r.destination.record.fill(s)
	}
	if !e.queue.Properties().Inspection {
		return all, nil
	}
	counts, err := countLanes(ctx, e.queue, names)
	for i, c := range counts {
		if c != nil {
			all[i].Queued, all[i].InFlight, all[i].DeadLetters = c.Waiting(), c.Running, c.Dead
		}
	}
	return all, err
}

// countWorkers is how many lanes are counted at a time.
const countWorkers = 16

// countLanes counts lanes side by side, so that a queue that does not answer costs ctx's time once. A lane that could
// not be counted is nil; the error says how many those are and why the first of them could not be.
func countLanes(ctx context.Context, q queue.Queue, names []string) ([]*queue.Counts, error) {
	counts := make([]*queue.Counts, len(names))
	errs := make([]error, len(names))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(countWorkers, len(names)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				if errs[i] = ctx.Err(); errs[i] != nil {
					continue
				}
				c, err := q.Count(ctx, names[i])
				if errs[i] = err; err == nil {
					counts[i] = &c
				}
			}
		})
	}
	wg.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) == 0 {
		return counts, nil
	}
	return counts, &CountError{Lanes: len(failed), Err: failed[0]}
}

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
