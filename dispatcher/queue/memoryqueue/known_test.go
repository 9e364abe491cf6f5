package memoryqueue

import (
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func revoked(id, reason string) event.Event {
	return event.Must(event.GrantRevoked{Reason: reason}, event.Meta{ID: id, Subject: "grant"})
}

func dues(t *testing.T, m *Queue, lane string) int {
	t.Helper()
	c, err := m.Count(t.Context(), lane)
	require.NoError(t, err)
	return c.Due
}

// TestManyLanes: repeats are found whether an event has few lanes or many.
func TestManyLanes(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	var jobs []queue.Job
	for i := range 300 {
		jobs = append(jobs, queue.Job{Event: revoked("e", ""), Lane: fmt.Sprint(i)})
	}
	require.NoError(t, m.Enqueue(t.Context(), jobs[100:200]...))
	require.NoError(t, m.Enqueue(t.Context(), jobs...))
	require.NoError(t, m.Enqueue(t.Context(), jobs...))
	for _, j := range jobs {
		assert.Equal(t, 1, dues(t, m, j.Lane), j.Lane)
	}
}

// TestWindowForgets: what is older than the window is forgotten, what is younger is known, and the window's memory is
// bounded.
func TestWindowForgets(t *testing.T) {
	t.Parallel()
	const limit, events = 1600, 10_000
	m := New(Options{IDWindow: limit})
	m.Bound("a", queue.Bound{Jobs: 3 * events})
	require.Equal(t, "about the latest 1600 events", m.Properties().IDWindow)
	enqueue := func(i int, reason string) error {
		return m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint(i), reason), Lane: "a"})
	}
	for i := range events {
		require.NoError(t, enqueue(i, "first"))
	}
	require.Equal(t, events, dues(t, m, "a"))
	require.Len(t, m.known.index, limit)
	require.Len(t, m.known.ring, limit)
	for i := events - limit/2; i < events; i++ { // surely within
		require.NoError(t, enqueue(i, "first"))
		require.ErrorAs(t, enqueue(i, "other"), new(*queue.ConflictError))
	}
	require.Equal(t, events, dues(t, m, "a"), "known jobs are skipped")
	for i := range limit {
		require.NoError(t, enqueue(i, "other"), "forgotten: neither known nor in conflict")
	}
	require.Equal(t, events+limit, dues(t, m, "a"))
}

// TestSmallestWindow: even a window of one event makes repeats within a call safe.
func TestSmallestWindow(t *testing.T) {
	t.Parallel()
	m := New(Options{IDWindow: 1})
	assert.Equal(t, "about the latest 1 events", m.Properties().IDWindow)
	j := queue.Job{Event: revoked("e", ""), Lane: "a"}
	require.NoError(t, m.Enqueue(t.Context(), j, j))
	require.NoError(t, m.Enqueue(t.Context(), j))
	assert.Equal(t, 1, dues(t, m, "a"))
}

// TestConflictStoresNothing: wherever in a call the conflict is, and whether it is with what is known or within the
// call.
func TestConflictStoresNothing(t *testing.T) {
	t.Parallel()
	job := func(id, reason, lane string) queue.Job { return queue.Job{Event: revoked(id, reason), Lane: lane} }
	for name, jobs := range map[string][]queue.Job{
		"first":              {job("known", "other", "a"), job("new", "", "a")},
		"last":               {job("new", "", "a"), job("known", "other", "a")},
		"between":            {job("new", "", "a"), job("known", "other", "a"), job("new", "", "b")},
		"within the call":    {job("new", "", "a"), job("new", "other", "a")},
		"apart in the call":  {job("new", "", "a"), job("more", "", "a"), job("new", "other", "b")},
		"in a known event":   {job("known", "", "b"), job("new", "", "a"), job("known", "other", "b")},
		"in one of two ids":  {job("new", "", "a"), job("known", "", "b"), job("known", "other", "b")},
		"only in the tenant": {{Event: event.Must(event.GrantRevoked{}, event.Meta{ID: "known", Subject: "grant", Tenant: "t"}), Lane: "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := New(Options{})
			require.NoError(t, m.Enqueue(t.Context(), job("known", "", "a")))
			var conflict *queue.ConflictError
			require.ErrorAs(t, m.Enqueue(t.Context(), jobs...), &conflict)
			assert.Contains(t, []string{"known", "new"}, conflict.EventID)
			assert.Equal(t, 1, dues(t, m, "a"))
			assert.Equal(t, 0, dues(t, m, "b"))
			// Nothing was remembered of it either.
			require.NoError(t, m.Enqueue(t.Context(), job("new", "third", "a")))
		})
	}
}

// TestRefusedIsNotKnown: what found no room is stored when it is enqueued again.
func TestRefusedIsNotKnown(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	m.Bound("a", queue.Bound{Jobs: 1})
	j := queue.Job{Event: revoked("e2", ""), Lane: "a"}
	require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("e1", ""), Lane: "a"}))
	require.ErrorAs(t, m.Enqueue(t.Context(), j, j), new(*queue.BacklogError))
	n, err := m.Purge(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, m.Enqueue(t.Context(), j))
	assert.Equal(t, 1, dues(t, m, "a"))
}

// TestConflictHidesTheData: the error of a conflict names the event and shows nothing of it.
func TestConflictHidesTheData(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("e", ""), Lane: "a"}))
	err := m.Enqueue(t.Context(), queue.Job{Event: revoked("e", "s3cret"), Lane: "a"})
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", err), "s3cret")
}
