package sqlitequeue

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// settable is a wall clock that is off by something.
type settable struct{ off atomic.Int64 }

func (c *settable) now() time.Time       { return time.Now().Add(time.Duration(c.off.Load())) }
func (c *settable) set(by time.Duration) { c.off.Add(int64(by)) }

func (c *settable) options() Options {
	_, o := logged()
	o.clock = c.now
	return o
}

// followed waits until a queue has noticed that its clock was set.
func followed(t *testing.T, q *Queue) {
	t.Helper()
	eventually(t, func() bool { return q.durable.Stats().Followed }, "it was noticed")
}

// seconds is how late a job may be when the clock is set.
const seconds = 9 * time.Second

// TestAPauseIsAsLongAsItIs, whatever the clock says meanwhile.
func TestAPauseIsAsLongAsItIs(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-time.Hour, -10 * 365 * 24 * time.Hour, time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			clock := new(settable)
			q := openWith(t, newPath(t), clock.options())
			r := newRan()
			serve(t, q, "a", 1, func(ctx context.Context, j queue.Job) queue.Disposition {
				if j.Attempt == 0 {
					return queue.Disposition{Action: queue.Retry, Delay: 2 * time.Second, Began: clock.now()}
				}
				return r.done(ctx, j)
			})
			require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
			eventually(t, func() bool { return count(t, q, "a").Later == 1 }, "it waits")
			began := time.Now()
			clock.set(by)
			r.await(t, 1)
			assert.Less(t, time.Since(began), 2*time.Second+seconds)
		})
	}
}

// TestAPauseIsAsLongAsItIsOverARestart: the clock is set back while the program is down.
func TestAPauseIsAsLongAsItIsOverARestart(t *testing.T) {
	t.Parallel()
	clock := new(settable)
	o := clock.options()
	q := openWith(t, newPath(t), o)
	l := serve(t, q, "a", 1, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Retry, Delay: 2 * time.Second, Began: clock.now()}
	})
	timed := job("timed", "a")
	timed.NotBefore = clock.now().Add(5 * time.Minute)
	require.NoError(t, q.Enqueue(t.Context(), job("e", "a"), timed))
	eventually(t, func() bool { return count(t, q, "a").Later == 2 }, "both wait")
	require.NoError(t, l.Stop(t.Context()))
	require.NoError(t, q.Close())
	clock.set(-time.Hour)
	began := time.Now()
	q = openWith(t, q.store.path, o)
	r := newRan()
	serve(t, q, "a", 1, r.done)
	r.await(t, 1)
	assert.Less(t, time.Since(began), 2*time.Second+seconds)
	eventually(t, func() bool { return count(t, q, "a") == queue.Counts{Later: 1} }, "a time of its own is one of the wall clock")
	assert.Equal(t, map[string]int{"e": 1}, r.ids())
}

// TestATimeOfItsOwnIsKept: seconds after the clock is set to it, and not before, in memory as well as after a restart.
func TestATimeOfItsOwnIsKept(t *testing.T) {
	t.Parallel()
	clock := new(settable)
	q := openWith(t, newPath(t), clock.options())
	r := newRan()
	serve(t, q, "a", 1, r.done)
	timed := job("timed", "a")
	timed.NotBefore = clock.now().Add(time.Hour)
	require.NoError(t, q.Schedule(t.Context(), "key", timed))
	clock.set(-time.Hour) // now in two hours
	followed(t, q)
	clock.set(time.Hour)
	followed(t, q)
	assert.Empty(t, r.ids())
	at := time.Now()
	clock.set(time.Hour)
	r.await(t, 1)
	assert.Less(t, time.Since(at), seconds)
}

// TestAgesAreKept: events that came while the clock was years behind are not years old once it is set.
func TestAgesAreKept(t *testing.T) {
	t.Parallel()
	const years = 5 * 365 * 24 * time.Hour
	clock := new(settable)
	q := openWith(t, newPath(t), clock.options())
	before := job("before", "a")
	before.Enqueued = clock.now()
	require.NoError(t, q.Enqueue(t.Context(), before))
	require.NoError(t, q.Close())
	o := clock.options()
	clock.set(-years) // the machine starts with a clock that is behind
	q = openWith(t, q.store.path, o)
	young := func(id, lane string) queue.Job {
		j := job(id, lane)
		j.Enqueued = clock.now()
		return j
	}
	ages := make(chan time.Duration, 10)
	measure := func(_ context.Context, j queue.Job) queue.Disposition {
		ages <- clock.now().Sub(j.Enqueued)
		return queue.Disposition{Action: queue.Done}
	}
	memory := serve(t, q, "memory", 0, measure)
	require.NoError(t, q.Enqueue(t.Context(), young("m", "memory"), young("f", "file"), young("r", "restart")))
	retried := make(chan time.Time, 10)
	serve(t, q, "retried", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Delay: time.Hour, Began: clock.now()}
		}
		retried <- j.FirstTried
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, q.Enqueue(t.Context(), young("t", "retried")))
	eventually(t, func() bool { return count(t, q, "retried").Later == 1 }, "it was tried")

	clock.set(years)
	followed(t, q)
	memory.Limit(1)
	serve(t, q, "file", 1, measure)
	for range 2 {
		age := <-ages
		assert.Less(t, age, time.Hour)
		assert.GreaterOrEqual(t, age, time.Duration(0))
	}
	assert.WithinDuration(t, clock.now(), <-retried, time.Minute, "due by the clock, and tried now")
	require.NoError(t, q.Close())
	q = openWith(t, q.store.path, o)
	serve(t, q, "restart", 1, measure)
	assert.Less(t, <-ages, time.Hour)
	serve(t, q, "a", 1, measure)
	age := <-ages
	assert.Less(t, age, time.Hour, "what was stored with the right clock is left alone")
	assert.GreaterOrEqual(t, age, time.Duration(0))
}
