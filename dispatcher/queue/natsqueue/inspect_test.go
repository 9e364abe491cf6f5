package natsqueue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Q10: what Count costs does not grow with what waits.
func TestQ10CountCostsTheSameHoweverManyWait(t *testing.T) {
	t.Parallel()
	const waiting = 5000
	s := newServers(t, 1)
	q, feed := s.worker(), s.queue(s.direct)
	jobs := make([]queue.Job, waiting)
	for n := range jobs {
		jobs[n] = jobFor("lane", fmt.Sprint(n))
		jobs[n].NotBefore = time.Now().Add(time.Hour)
	}
	cost := func(want queue.Counts) int64 {
		before := s.proxy.Answered()
		c, err := q.Count(t.Context(), "lane")
		require.NoError(t, err)
		assert.Equal(t, want, c)
		return s.proxy.Answered() - before
	}
	require.NoError(t, feed.Enqueue(t.Context(), jobs[0]))
	one := cost(queue.Counts{Later: 1})
	require.NoError(t, feed.Enqueue(t.Context(), jobs...))
	all := cost(queue.Counts{Later: waiting})
	t.Logf("%d bytes for one job, %d for %d", one, all, waiting)
	assert.Less(t, all, one+1000)
}

// Every call ends with its ctx while the servers say nothing.
func TestCallsHonourTheirContext(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	s.config.Timeout = time.Minute
	q := s.worker()
	lane, err := q.Open("lane", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
	require.NoError(t, err)
	paused, err := q.Open("paused", queue.LaneOptions{}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), jobFor("paused", "due")))
	later := jobFor("lane", "later")
	later.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, q.Schedule(t.Context(), "key", later))
	s.proxy.Cut()
	const given = 300 * time.Millisecond
	for name, call := range map[string]func(context.Context) error{
		"Enqueue":     func(ctx context.Context) error { return q.Enqueue(ctx, jobFor("lane", "a")) },
		"Schedule":    func(ctx context.Context) error { return q.Schedule(ctx, "key", later) },
		"Cancel":      func(ctx context.Context) error { _, err := q.Cancel(ctx, "lane", "key"); return err },
		"Lanes":       func(ctx context.Context) error { _, err := q.Lanes(ctx); return err },
		"Count":       func(ctx context.Context) error { _, err := q.Count(ctx, "lane"); return err },
		"Purge":       func(ctx context.Context) error { _, err := q.Purge(ctx, "lane"); return err },
		"DeadLetters": func(ctx context.Context) error { _, err := q.DeadLetters(ctx, queue.Selection{}); return err },
		"Requeue":     func(ctx context.Context) error { _, err := q.Requeue(ctx, queue.Selection{}, 1); return err },
		"Discard":     func(ctx context.Context) error { _, err := q.Discard(ctx, queue.Selection{}); return err },
		"Drain":       func(ctx context.Context) error { return lane.Drain(ctx, time.Time{}) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		began := time.Now()
		require.Error(t, call(ctx), name)
		assert.Less(t, time.Since(began), given+time.Second, name)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(given, cancel)
		began = time.Now()
		require.ErrorIs(t, call(ctx), context.Canceled, name)
		assert.Less(t, time.Since(began), given+time.Second, name)
	}
	for _, l := range []queue.Lane{lane, paused} {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		began := time.Now()
		require.NoError(t, l.Stop(ctx), "nothing runs")
		assert.Less(t, time.Since(began), given+queue.StopGrace+2*time.Second)
		cancel()
	}
	s.proxy.Heal()
}

// A conflict is found each time it is asked about, by one after the other and by several at once.
func TestQ2ConflictIsRefusedEachTime(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	one, other := s.queue(s.direct), s.queue(s.direct)
	require.NoError(t, one.Enqueue(t.Context(), jobFor("lane", "a")))
	conflicting := jobFor("lane", "a")
	conflicting.Event = event.Must(event.GrantRevoked{Reason: "another"}, event.Meta{ID: "a", Subject: "subject"})
	beside := jobFor("lane", "beside")
	results := make(chan error, 16)
	for n := range 16 {
		go func() {
			if n%2 == 0 {
				results <- other.Enqueue(t.Context(), conflicting)
				return
			}
			results <- other.Enqueue(t.Context(), beside, conflicting)
		}()
	}
	for range 16 {
		var conflict *queue.ConflictError
		require.ErrorAs(t, <-results, &conflict)
		assert.Equal(t, "a", conflict.EventID)
	}
	require.ErrorAs(t, other.Enqueue(t.Context(), conflicting), new(*queue.ConflictError))
	require.NoError(t, other.Enqueue(t.Context(), jobFor("lane", "a")), "the event itself is known")
	require.ErrorAs(t, other.Enqueue(t.Context(), conflicting), new(*queue.ConflictError))
}

// Drain waits for what is due before a time: retries, scheduled jobs and the first job of a strict lane; not for
// what is later.
func TestDrainUntil(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "strict"} {
		t.Run("key "+key, func(t *testing.T) {
			t.Parallel()
			s := newServers(t, 1)
			q := s.queue(s.direct)
			l := newLedger()
			lane := openLane(t, s.queue(s.direct), "lane", 1, func(ctx context.Context, j queue.Job) queue.Disposition {
				if j.Event.ID() == "retried" && j.Attempt == 0 {
					return queue.Disposition{Action: queue.Retry, Delay: 3 * time.Second, Began: time.Now()}
				}
				return l.handler(0)(ctx, j)
			})
			began := time.Now()
			retried := jobFor("lane", "retried")
			retried.OrderKey = key
			require.NoError(t, q.Enqueue(t.Context(), retried))
			timed, later := jobFor("lane", "timed"), jobFor("lane", "later")
			timed.NotBefore, later.NotBefore = began.Add(2*time.Second), began.Add(20*time.Second)
			require.NoError(t, q.Schedule(t.Context(), "timed", timed))
			require.NoError(t, q.Enqueue(t.Context(), later))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, lane.Drain(ctx, time.Time{}))
			assert.Empty(t, l.runs, "nothing is due now")
			require.NoError(t, lane.Drain(ctx, began.Add(500*time.Millisecond)))
			assert.Empty(t, l.runs, "nothing is due by then")
			require.NoError(t, lane.Drain(ctx, began.Add(4*time.Second)))
			assert.Equal(t, map[string]int{"retried": 1, "timed": 1}, l.runs)
			assert.Less(t, time.Since(began), 15*time.Second, "Drain waits for what is later")
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, lane.Drain(ctx, began.Add(48*time.Hour)), context.DeadlineExceeded)
			n, err := q.Purge(t.Context(), "lane")
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			require.NoError(t, lane.Drain(t.Context(), began.Add(48*time.Hour)))
		})
	}
}

// What keeps a lane from being served is logged, and that it is served again.
func TestLaneThatIsNotServedIsLogged(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	var log logged
	s.config.Logger, s.config.Timeout = log.logger(), time.Second
	q := s.queue(s.direct)
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	l.await(t, 1)
	require.NoError(t, s.js.DeleteStream(t.Context(), "q-jobs"))
	require.Eventually(t, func() bool { return len(log.lines("level=WARN", "route=lane", "stream not found")) == 1 }, patience, 10*time.Millisecond)
	other := s.queue(s.direct) // makes the stream again
	require.NoError(t, other.Enqueue(t.Context(), jobFor("lane", "b")))
	l.await(t, 2)
	require.Eventually(t, func() bool { return len(log.lines("level=INFO", "route=lane", "served again")) == 1 }, patience, 10*time.Millisecond)
	assert.Len(t, log.lines("level=WARN", "route=lane"), 1, "not a line for each attempt")
}
