package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

// printer prints the scenario as it happens.
type printer struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func (p *printer) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "\n%s\n", text)
}

// observer prints a line for every attempt and every delivery that is dead.
func (p *printer) observer() dispatcher.Observer {
	return dispatcher.Observer{
		Attempted: func(a dispatcher.Attempt) {
			text := fmt.Sprintf("delivered, status %d", a.Receipt.Status)
			switch {
			case a.Receipt.Skipped:
				text = "suppressed: the same was delivered within two hours"
			case a.Verdict == retry.VerdictPostponed:
				text = "interrupted by the shutdown, not counted as a failure"
			case a.Err != nil && a.Next > 0:
				text = fmt.Sprintf("failed, status %d; next attempt in %v", a.Receipt.Status, a.Next)
			case errors.Is(a.Err, netguard.ErrDestinationBlocked):
				text = "refused:\n      " + a.Err.Error()
			case a.Err != nil:
				text = fmt.Sprintf("failed, status %d", a.Receipt.Status)
			}
			p.line(a.Delivery.Route.Name, string(a.Delivery.Event.Type()), a.Delivery.Attempt, text)
		},
		Settled: func(s dispatcher.Settlement) {
			if s.Outcome == dispatcher.Dead {
				p.line(s.Delivery.Route.Name, string(s.Delivery.Event.Type()), s.Delivery.Attempt, "dead: kept for inspection and redelivery")
			}
		},
	}
}

func (p *printer) line(route, eventType string, attempt int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "  %5d ms  %-8s %-20s #%d  %s\n", time.Since(p.began).Milliseconds(), route, eventType, attempt, text)
}

func (p *printer) table(status []dispatcher.RouteStatus) {
	w := tabwriter.NewWriter(p.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "  route\tdelivered\tsuppressed\tfailed attempts\tdead\tstill queued")
	for _, s := range status {
		fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%d\n", s.Route.Name, s.Delivered, s.Skipped, s.Failed, s.Dead, s.Queued)
	}
	_ = w.Flush()
}
