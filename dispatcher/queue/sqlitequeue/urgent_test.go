package sqlitequeue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func urgentJob(id, route string) queue.Job {
	j := job(id, route)
	j.Urgent = true
	return j
}

// order runs what a lane has, one at a time, and returns the events' ids.
func order(t *testing.T, q *Queue, name string, until time.Time) (ids []string) {
	t.Helper()
	l := serve(t, q, name, 1, func(_ context.Context, j queue.Job) queue.Disposition {
		ids = append(ids, j.Event.ID())
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, l.Drain(t.Context(), until))
	require.NoError(t, l.Stop(t.Context()))
	return ids
}

// TestUrgentJobsGoFirst, in the order they came, also when a lane's window is full of others, and after a restart.
func TestUrgentJobsGoFirst(t *testing.T) {
	t.Parallel()
	for _, window := range []int{2, durable.MostWindow} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint("window ", window, " restart ", restart), func(t *testing.T) {
				t.Parallel()
				const plain = 50
				q := newQueue(t)
				q.durable.SetWindow(window)
				l := serve(t, q, "a", 0, newRan().done)
				require.NoError(t, q.Enqueue(t.Context(), jobs("a", plain)...))
				require.NoError(t, q.Enqueue(t.Context(), urgentJob("u0", "a")))
				later := urgentJob("u2", "a")
				later.NotBefore = time.Now().Add(time.Millisecond)
				ordered := urgentJob("ordered", "a")
				ordered.OrderKey = "key"
				require.NoError(t, q.Enqueue(t.Context(), urgentJob("u1", "a"), later, ordered))
				require.NoError(t, l.Stop(t.Context()))
				if restart {
					q = reopen(t, q)
					q.durable.SetWindow(window)
				}
				eventually(t, func() bool { return count(t, q, "a").Later == 0 }, "u2 is due")
				l = serve(t, q, "a", 0, newRan().done)
				eventually(t, func() bool {
					in := q.durable.InMemory("a")
					return in.Waiting >= min(window, plain) && in.Urgent == 3
				}, "they are in memory, whatever else is")
				require.NoError(t, l.Stop(t.Context()))
				ids := order(t, q, "a", time.Time{})
				require.Len(t, ids, plain+4)
				assert.ElementsMatch(t, []string{"u0", "u1", "u2"}, ids[:3])
				assert.Less(t, slices.Index(ids, "u0"), slices.Index(ids, "u1"))
				assert.Equal(t, "a-0", ids[3])
				assert.True(t, slices.IsSortedFunc(ids[3:plain+3], func(a, b string) int {
					return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
				}), "the others stay in order: %v", ids)
				assert.Equal(t, "ordered", ids[plain+3], "a job with an order key waits for its turn")
			})
		}
	}
}

// TestAnUrgentJobOvertakesAFullWindow: one that comes, and a retry whose time has come, while handlers are busy.
func TestAnUrgentJobOvertakesAFullWindow(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	q.durable.SetWindow(2)
	type run struct {
		id     string
		answer chan queue.Disposition
	}
	runs := make(chan run)
	l := serve(t, q, "a", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		r := run{j.Event.ID(), make(chan queue.Disposition)}
		runs <- r
		return <-r.answer
	})
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", 20)...))
	first := <-runs
	require.NoError(t, q.Enqueue(t.Context(), urgentJob("u", "a")))
	first.answer <- queue.Disposition{Action: queue.Done}
	u := <-runs
	assert.Equal(t, "u", u.id)
	u.answer <- queue.Disposition{Action: queue.Retry, Delay: 20 * time.Millisecond, Began: time.Now()}
	second := <-runs
	eventually(t, func() bool { return count(t, q, "a").Later == 0 }, "its time has come")
	eventually(t, func() bool { return q.durable.InMemory("a").Urgent == 1 }, "it was read")
	second.answer <- queue.Disposition{Action: queue.Done}
	u = <-runs
	assert.Equal(t, "u", u.id)
	u.answer <- queue.Disposition{Action: queue.Dead, Reason: "no use"}
	for range 18 {
		(<-runs).answer <- queue.Disposition{Action: queue.Done}
	}
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	assert.Equal(t, queue.Counts{Dead: 1}, count(t, q, "a"))
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.True(t, letters[0].Urgent)
	n, err := q.Requeue(t.Context(), queue.Selection{}, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	(<-runs).answer <- queue.Disposition{Action: queue.Done}
	assert.True(t, q.Properties().Urgency)
}

// TestDrainWaitsForATime: for what is due before it, a retry included, and not for more.
func TestDrainWaitsForATime(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	soon, late := job("soon", "a"), job("late", "a")
	soon.NotBefore, late.NotBefore = time.Now().Add(200*time.Millisecond), time.Now().Add(time.Hour)
	require.NoError(t, q.Enqueue(t.Context(), soon, late))
	r := newRan()
	l := serve(t, q, "a", 1, func(ctx context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Delay: 200 * time.Millisecond, Began: time.Now()}
		}
		return r.done(ctx, j)
	})
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	assert.Empty(t, r.ids(), "zero is now")
	require.NoError(t, l.Drain(t.Context(), time.Now().Add(10*time.Minute)))
	assert.Equal(t, map[string]int{"soon": 1}, r.ids())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Drain(ctx, time.Now().Add(2*time.Hour)), context.DeadlineExceeded)
	l.Limit(0)
	require.NoError(t, l.Drain(t.Context(), time.Now().Add(2*time.Hour)), "paused")
}
