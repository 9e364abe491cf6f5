package dispatcher

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

var (
	// ErrShutdown is returned once Shutdown was called or Run has ended.
	ErrShutdown = errors.New("dispatcher is shut down; make another one")
	// ErrRunning is returned by a second Run.
	ErrRunning = errors.New("dispatcher runs already; call Run once")
)

// BacklogError names the lanes that had no room.
type BacklogError = queue.BacklogError

// ConflictError says that an event id is known with other data.
type ConflictError = queue.ConflictError

// EventError names an event that cannot be dispatched.
type EventError struct {
	Index int    // among those of the call
	ID    string // "" = it has none
	Err   error
}

func (e *EventError) Error() string { return fmt.Sprintf("event %d (id %q): %v", e.Index, e.ID, e.Err) }

// Unwrap returns the reason.
func (e *EventError) Unwrap() error { return e.Err }

// RouteError says why a named route cannot take an event, or be checked.
type RouteError struct {
	Route   RouteID
	Problem string // and what to do about it
}

func (e *RouteError) Error() string { return fmt.Sprintf("route %q: %s", e.Route.String(), e.Problem) }

// InUseError says that routes were replaced but sends through their previous channels have not returned: closing those
// channels now would break them.
type InUseError struct {
	Routes []RouteID
	Err    error // why the wait ended
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("the new routes are in force, but sends through the previous channels of %s still run: %v; close those channels after a later change",
		strings.Join(quoted(e.Routes), ", "), e.Err)
}

// Unwrap returns why the wait ended.
func (e *InUseError) Unwrap() error { return e.Err }

// ShutdownError says what a shutdown left.
type ShutdownError struct {
	Left    []Left // the routes that have something left, by RouteID.String; scheduled events are under ScheduleLane
	Durable bool   // the queue keeps it for the next start; otherwise it is lost
	Err     error  // why what is left could not be counted completely; nil = it could
}

// Left is what one route has left.
type Left struct {
	Route   RouteID
	Queued  int // jobs that wait; -1 = they could not be counted
	Sending int // sends that ignore the end of their context
}

func (e *ShutdownError) Error() string {
	var b strings.Builder
	fate := "lost with this process"
	if e.Durable {
		fate = "kept for the next start"
	}
	fmt.Fprintf(&b, "shut down with deliveries left, which are %s:", fate)
	for i, l := range e.Left {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %q %s queued", l.Route.String(), counted(l.Queued))
		if l.Sending > 0 {
			fmt.Fprintf(&b, " and %d still sending", l.Sending)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	return b.String()
}

// Unwrap returns why the count is incomplete.
func (e *ShutdownError) Unwrap() error { return e.Err }

// CountError says that what some lanes hold could not be counted.
type CountError struct {
	Lanes int   // how many
	Err   error // why the first of them could not be counted
}

func (e *CountError) Error() string {
	return fmt.Sprintf("%d lanes could not be counted: %v", e.Lanes, e.Err)
}

// Unwrap returns the reason.
func (e *CountError) Unwrap() error { return e.Err }

func quoted(routes []RouteID) []string {
	q := make([]string, len(routes))
	for i, r := range routes {
		q[i] = strconv.Quote(r.String())
	}
	return q
}

// KeyError says that a schedule key is empty or too long.
type KeyError struct{ Length int }

func (e *KeyError) Error() string {
	return fmt.Sprintf("schedule key has %d bytes: use 1 to %d, such as \"expiring/\" and the grant's id", e.Length, maxKeyLength)
}
