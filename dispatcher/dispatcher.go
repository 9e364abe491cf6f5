// Package dispatcher takes events and gives each to every route that wants it: asynchronously, at least once, each
// route in a lane of its own.
//
// Product code depends on the small interfaces [Dispatcher] and [Scheduler] and is tested with package dispatchertest.
// [Engine] is the implementation of both: it matches events to routes, keeps deliveries in a queue (package queue),
// makes attempts through channels, reschedules failed ones, and reports to observers.
//
// Besides Dispatch there are two ways to a delivery. [Engine.Schedule] holds an event until its time, for reminders:
// schedule it at the grant, [Engine.Cancel] it at the revocation. [Engine.RedeliverDead] delivers again what was given
// up: one or several deliveries by id, or all of a route since a time. How much of this outlasts the process is the
// queue's business: with package memoryqueue nothing does, with a durable queue (package sqlitequeue) all of it.
//
// # Moving from one queue to another
//
// A queue is emptied by its own Engine, so run two for a while: dispatch to the new one, and leave the old one running
// until Engine.Status shows nothing queued, or until its Shutdown says what is left. Where order matters, let the old
// one finish first. Scheduled events do not move: schedule them again under the same keys. Redeliver what you still
// want of the old dead letters.
package dispatcher

import (
	"context"
	"errors"

	"github.com/tocsin-go/tocsin/event"
)

// Dispatcher is all that product code needs to dispatch events, and all that a test has to fake. [Scheduler] is for
// events of a later time.
type Dispatcher interface {
	// Dispatch hands events to the lane of every matching route and returns once they are stored (durable queue) or
	// queued (memory). It never waits for a destination. A bad event is an *EventError that names it, and nothing is
	// queued. Lanes without room are named by a *BacklogError; the other lanes have their jobs, and dispatching the
	// same event again is safe: known jobs are skipped. An event that no route wants is not an error. Safe for
	// concurrent use.
	//
	// When ctx is done, nothing is queued. That of a request is done as soon as its client hangs up, so what was
	// committed is dispatched after the commit with context.WithoutCancel(ctx), or with a deadline of its own.
	Dispatch(ctx context.Context, events ...event.Event) error
}

// ValidateEvents returns the *EventError of the first event that no Dispatcher takes, or nil. It is for implementations
// of Dispatcher and Scheduler other than the Engine, such as a host's own outbox: all refuse the same, with equal
// errors.
func ValidateEvents(events ...event.Event) error {
	for i, ev := range events {
		if ev.IsZero() {
			return &EventError{Index: i, Err: errNoEvent}
		}
	}
	return nil
}

var errNoEvent = errors.New("its Type is empty: make events with event.New")
