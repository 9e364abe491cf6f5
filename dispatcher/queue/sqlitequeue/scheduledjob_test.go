package sqlitequeue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func cancelled(t *testing.T, q *Queue, lane, key string) bool {
	t.Helper()
	found, err := q.Cancel(t.Context(), lane, key)
	require.NoError(t, err)
	return found
}

// TestAScheduledJobAndWhatItEnqueuesAreOne: a crash between the two does not let Cancel claim what is not so.
func TestAScheduledJobAndWhatItEnqueuesAreOne(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	enqueued, proceed := make(chan struct{}), make(chan struct{})
	serve(t, q, "schedule", 1, func(ctx context.Context, j queue.Job) queue.Disposition {
		assert.NoError(t, q.Enqueue(ctx, queue.Job{Event: j.Event, Lane: "target", Enqueued: time.Now()}))
		close(enqueued)
		<-proceed
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, q.Schedule(t.Context(), "key", job("e", "schedule")))
	<-enqueued
	crashed := openAt(t, copyFiles(t, q.store.path))
	close(proceed)
	assert.False(t, cancelled(t, crashed, "schedule", "key"), "it was dispatched")
	require.NoError(t, crashed.Schedule(t.Context(), "key", delayedBy(time.Hour, "next", "schedule")), "the key is free")
	r := newRan()
	l := serve(t, crashed, "schedule", 1, func(ctx context.Context, j queue.Job) queue.Disposition {
		r.add(j)
		assert.NoError(t, crashed.Enqueue(ctx, queue.Job{Event: j.Event, Lane: "target", Enqueued: time.Now()}))
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	assert.Equal(t, map[string]int{"e": 1}, r.ids(), "the rest of its work is done")
	assert.Equal(t, queue.Counts{Due: 1}, count(t, crashed, "target"), "and nothing twice")
	assert.True(t, cancelled(t, crashed, "schedule", "key"), "that is the next one")

	// A crash before anything was enqueued leaves all to Cancel.
	q = newQueue(t)
	require.NoError(t, q.Schedule(t.Context(), "key", job("e", "schedule")))
	began, end := make(chan struct{}), make(chan struct{})
	serve(t, q, "schedule", 1, func(context.Context, queue.Job) queue.Disposition {
		close(began)
		<-end
		return queue.Disposition{Action: queue.Done}
	})
	<-began
	crashed = openAt(t, copyFiles(t, q.store.path))
	close(end)
	assert.True(t, cancelled(t, crashed, "schedule", "key"))
	assert.Equal(t, queue.Counts{}, count(t, crashed, "schedule"))
}

func delayedBy(d time.Duration, id, lane string) queue.Job {
	j := job(id, lane)
	j.NotBefore = time.Now().Add(d)
	return j
}

// TestAPostponedJobWasNotTried, so it can be cancelled, now and after a restart; one that was tried cannot.
func TestAPostponedJobWasNotTried(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, time.Hour} {
		q := newQueue(t)
		ran := make(chan struct{}, 10)
		var l queue.Lane
		l = serve(t, q, "a", 0, func(_ context.Context, j queue.Job) queue.Disposition {
			ran <- struct{}{}
			if j.Event.ID() == "tried" {
				return queue.Disposition{Action: queue.Retry, Delay: time.Hour, Began: time.Now()}
			}
			l.Limit(0)
			return queue.Disposition{Action: queue.Postpone, Delay: delay}
		})
		l.Limit(1)
		require.NoError(t, q.Schedule(t.Context(), "tried", job("tried", "a")))
		<-ran
		eventually(t, func() bool { return count(t, q, "a").Later == 1 }, "it waits for a retry")
		require.NoError(t, q.Schedule(t.Context(), "key", job("postponed", "a")))
		<-ran
		eventually(t, func() bool { return count(t, q, "a").Running == 0 }, "it is postponed")
		require.NoError(t, l.Stop(t.Context()))
		copied := openAt(t, copyFiles(t, q.store.path))
		for _, q := range []*Queue{q, copied} {
			assert.False(t, cancelled(t, q, "a", "tried"))
			assert.True(t, cancelled(t, q, "a", "key"))
			assert.Equal(t, queue.Counts{Later: 1}, count(t, q, "a"))
		}
	}
}
