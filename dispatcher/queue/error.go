package queue

import (
	"errors"
	"fmt"
	"strings"
)

// ErrLaneOpen is returned by Open for a lane that is open already.
var ErrLaneOpen = errors.New("lane is already open")

// BacklogError names the lanes that had no room. Lanes that are not named got their jobs; enqueueing the same jobs
// again is safe.
type BacklogError struct {
	Lanes  []string
	Groups []string // those whose GroupJobs left no room; the other lanes' own backlogs were full
}

func (e *BacklogError) Error() string {
	text := fmt.Sprintf("no room in the backlog of %s: try again later, raise the route's Backlog or use DropOldest",
		quoted(e.Lanes))
	if len(e.Groups) > 0 {
		text += fmt.Sprintf("; the lanes of group %s together hold as many as they may: raise GroupJobs", quoted(e.Groups))
	}
	return text
}

// ConflictError says that an event id is known with another type, tenant, subject or data. Nothing of that event was
// stored.
type ConflictError struct{ EventID string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("event id %s: known with different data; give every event its own id", e.EventID)
}

// StillRunningError says that handlers ignored the end of their context.
type StillRunningError struct {
	Lane     string
	Handlers int
}

func (e *StillRunningError) Error() string {
	return fmt.Sprintf("lane %q: %d sends ignore the end of their context and still run", e.Lane, e.Handlers)
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, ", ")
}
