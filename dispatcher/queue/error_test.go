package queue

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestErrors: what people read names the lanes, the event and the remedy.
func TestErrors(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`no room in the backlog of "a", "b c": try again later, raise the route's Backlog or use DropOldest`:                                                                     &BacklogError{Lanes: []string{"a", "b c"}},
		`no room in the backlog of "a": try again later, raise the route's Backlog or use DropOldest; the lanes of group "g" together hold as many as they may: raise GroupJobs`: &BacklogError{Lanes: []string{"a"}, Groups: []string{"g"}},
		`event id e: known with different data; give every event its own id`:                                                                                                     &ConflictError{EventID: "e"},
		`lane "a": 2 sends ignore the end of their context and still run`:                                                                                                        &StillRunningError{Lane: "a", Handlers: 2},
	} {
		assert.EqualError(t, err, want)
	}
}
