package natsqueue_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// Q10: a dead letter that was requeued and becomes dead again is requeued again, also when the caller gives it the same
// generation within the id window: the server knows the job's id, and must not take the second life for the first.
func TestQ10RequeueWithTheSameGenerationLosesNothing(t *testing.T) {
	t.Parallel()
	q := openFor(t, store("1", "jobs", natstest.New(t, 1).URL()))
	var runs atomic.Int64
	openLane(t, q, "lane", 1, func(context.Context, queue.Job) queue.Disposition {
		runs.Add(1)
		return queue.Disposition{Action: queue.Dead, Reason: "no"}
	})
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	for life := range int64(3) {
		require.Eventually(t, func() bool {
			letters, err := q.DeadLetters(t.Context(), queue.Selection{})
			return err == nil && len(letters) == 1 && runs.Load() == life+1
		}, patience, 10*time.Millisecond, "life %d: %d runs", life, runs.Load())
		n, err := q.Requeue(t.Context(), queue.Selection{}, 0)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
}

// Q10: what becomes dead again while Requeue is at work, as in a lane that another worker serves, is neither lost nor
// requeued without an end.
func TestQ10RequeueLeavesWhatBecomesDeadMeanwhile(t *testing.T) {
	t.Parallel()
	const jobs = 300 // more than a page
	s := store("1", "jobs", natstest.New(t, 1).URL())
	q := openFor(t, s)
	openLane(t, openFor(t, s), "lane", 16, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Dead, Reason: "no"}
	})
	for n := range jobs {
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", strconv.Itoa(n))))
	}
	dead := func() bool {
		c, err := q.Count(t.Context(), "lane")
		return err == nil && c == queue.Counts{Dead: jobs}
	}
	require.Eventually(t, dead, patience, 10*time.Millisecond)
	for generation := range int64(2) {
		n, err := q.Requeue(t.Context(), queue.Selection{}, generation+1)
		require.NoError(t, err)
		assert.Equal(t, jobs, n)
		require.Eventually(t, dead, patience, 10*time.Millisecond, "every job is dead once more, and none is missing")
	}
}
