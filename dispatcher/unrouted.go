package dispatcher

import (
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// unroutedPause is the least time between two log lines about events no route wanted.
const unroutedPause = time.Minute

// unrouted counts events no route wanted. It logs the first and then at most one a minute: a product that emits an
// event nobody subscribed to does so all day.
type unrouted struct {
	total  atomic.Int64
	logged atomic.Int64 // time of the last line, Unix nanoseconds
}

// Unrouted returns how many events no route wanted so far.
func (e *Engine) Unrouted() int64 { return e.unrouted.total.Load() }

func (e *Engine) missed(x *index, ev event.Event, now time.Time) {
	total := e.unrouted.total.Add(1)
	last := e.unrouted.logged.Load()
	due := last == 0 || now.Sub(time.Unix(0, last)) >= unroutedPause
	due = due && e.unrouted.logged.CompareAndSwap(last, now.UnixNano())
	if !due && len(e.observers.unrouted) == 0 {
		return
	}
	reason := x.why(ev)
	if due {
		e.log.Info("tocsin: no route wants this event", AttrReason, string(reason), AttrEventType, string(ev.Type()),
			AttrEventID, ev.ID(), AttrTenant, ev.Tenant(), AttrUnrouted, total)
	}
	for _, f := range e.observers.unrouted {
		f(ev, reason)
	}
}

// why finds the nearest miss.
func (x *index) why(ev event.Event) Reason {
	reason := NoType
	for _, b := range x.routes {
		if !b.Events.Match(ev) || b.isAbout(ev) {
			continue
		}
		if b.takes(ev.Tenant()) { // so it was not asked because it is disabled
			return NoState
		}
		reason = NoTenant
	}
	return reason
}
