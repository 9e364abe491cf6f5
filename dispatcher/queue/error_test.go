package queue

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// TestErrors: what people read names the lanes, the event and the remedy.
func TestErrors(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`no room in the backlog of "a", "b c": try again later, raise the route's Backlog or use DropOldest`: &BacklogError{Lanes: []string{"a", "b c"}},
		`event id e: known with different data; give every event its own id`:                                 &ConflictError{EventID: "e"},
		`lane "a": 2 sends ignore the end of their context and still run`:                                    &StillRunningError{Lane: "a", Handlers: 2},
	} {
		assert.EqualError(t, err, want)
	}
	secret := event.Must(event.GrantRevoked{Reason: "s3cret"}, event.Meta{ID: "e"})
	m := NewMemory(MemoryOptions{})
	require.NoError(t, m.Enqueue(t.Context(), Job{Event: revoked("e", ""), Route: "a"}))
	err := m.Enqueue(t.Context(), Job{Event: secret, Route: "a"})
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", err), "s3cret")
}
