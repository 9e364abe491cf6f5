package postgresqueue

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// A bound holds whichever process enqueues: what another one has stored counts.
func TestBoundsHoldAcrossProcesses(t *testing.T) {
	t.Parallel()
	one := newQueue(t)
	two := openAt(t, serverURL(t), one.store.db.schema)
	for _, q := range []*Queue{one, two} {
		q.Bound("a", queue.Bound{Jobs: 2})
		q.Bound("b", queue.Bound{Group: "g", GroupJobs: 3})
		q.Bound("c", queue.Bound{Group: "g", GroupJobs: 3})
	}
	var full *queue.BacklogError
	require.NoError(t, one.Enqueue(t.Context(), job("e1", "a")))
	require.NoError(t, two.Enqueue(t.Context(), job("e2", "a")))
	require.ErrorAs(t, one.Enqueue(t.Context(), job("e3", "a")), &full)
	require.ErrorAs(t, two.Enqueue(t.Context(), job("e3", "a")), &full)
	assert.Equal(t, []string{"a"}, full.Lanes)

	require.NoError(t, one.Enqueue(t.Context(), job("e4", "b"), job("e5", "b"), job("e6", "b")))
	require.ErrorAs(t, two.Enqueue(t.Context(), job("e7", "c")), &full)
	assert.Equal(t, []string{"g"}, full.Groups)
	_, err := one.Purge(t.Context(), "b")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return two.Enqueue(t.Context(), job("e7", "c")) == nil }, patience, 50*time.Millisecond)
}

// What another process stores in a lane that drops its oldest is dropped by the lane's owner.
func TestOwnersDropTheOldest(t *testing.T) {
	t.Parallel()
	owner := newQueue(t)
	other := openAt(t, serverURL(t), owner.store.db.schema)
	var dropped atomic.Int64
	bound := queue.Bound{Jobs: 5, DropOldest: true, Dropped: func(queue.Job) { dropped.Add(1) }}
	owner.Bound("a", bound)
	other.Bound("a", bound)
	_, err := owner.Open("a", queue.LaneOptions{}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
	require.NoError(t, err)
	require.Eventually(t, func() bool { return owner.store.isMine("a") }, patience, time.Millisecond)
	for _, id := range []string{"e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"} {
		require.NoError(t, other.Enqueue(t.Context(), job(id, "a")))
	}
	require.Eventually(t, func() bool {
		c, err := other.Count(t.Context(), "a")
		return err == nil && c == queue.Counts{Due: 5, Dead: 3}
	}, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool { return dropped.Load() == 3 }, patience, time.Millisecond, "once it is stored")
	letters, err := other.DeadLetters(t.Context(), queue.Selection{Lane: "a"})
	require.NoError(t, err)
	assert.Equal(t, "e1", letters[0].Event.ID())
}

// Counting a lane does not read its jobs, and is right whoever removes them.
func TestTally(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for _, id := range []string{"e1", "e2", "e3"} {
		require.NoError(t, q.Enqueue(t.Context(), job(id, "a")))
	}
	script(t, q, "DELETE FROM tocsin.job WHERE seq = (SELECT min(seq) FROM tocsin.job)")
	for range 2 {
		c, err := q.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: 2}, c)
		script(t, q, "UPDATE tocsin.tally SET slot = -slot") // of long ago
		cleanNow(t, q)
	}
}
