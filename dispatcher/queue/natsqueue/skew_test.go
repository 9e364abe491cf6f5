package natsqueue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
)

// Q4: a worker whose wall clock is an hour off retries after the delay it was given, in any lane: it counts it by
// the servers' clock.
func TestQ4RetryOfAWorkerWhoseClockIsOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		for _, key := range []string{"", "strict"} {
			t.Run(fmt.Sprintf("%v %s", off, key), func(t *testing.T) {
				t.Parallel()
				s := newServers(t, 1)
				q := s.queue(s.direct)
				natsqueue.SetClock(q, time.Now().Add(off))
				require.NoError(t, natsqueue.ReadClock(t.Context(), q))
				ran := make(chan time.Time, 10)
				openLane(t, q, "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
					ran <- time.Now()
					if j.Attempt < 2 {
						return queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
					}
					return queue.Disposition{}
				})
				j := jobFor("lane", "a")
				j.OrderKey = key
				require.NoError(t, q.Enqueue(t.Context(), j))
				before := <-ran
				for range 2 {
					select {
					case at := <-ran:
						assert.GreaterOrEqual(t, at.Sub(before), time.Second-10*time.Millisecond)
						before = at
					case <-time.After(patience / 4):
						require.Fail(t, "the retry does not come")
					}
				}
			})
		}
	}
}

// Q4: a job whose time has come by the servers' clock is run, not put off again, by a worker that believes it is an
// hour earlier.
func TestQ4WorkerWhoseClockIsBehindRunsWhatIsDue(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	other, q := s.queue(s.direct), s.queue(s.direct)
	l := newLedger()
	require.Eventually(t, func() bool { return natsqueue.HasWatched(q) }, patience, time.Millisecond)
	natsqueue.SetClock(q, time.Now().Add(-time.Hour))
	openLane(t, q, "lane", 1, l.handler(0))
	later, timed := jobFor("lane", "later"), jobFor("lane", "timed")
	later.NotBefore, timed.NotBefore = time.Now().Add(500*time.Millisecond), time.Now().Add(500*time.Millisecond)
	require.NoError(t, other.Enqueue(t.Context(), later))
	require.NoError(t, other.Schedule(t.Context(), "key", timed))
	began := time.Now()
	l.await(t, 2)
	assert.Less(t, time.Since(began), 8*time.Second, "before the worker has read the servers' clock again")
}
