package natsqueue_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// Q5: the limit is that of the lane, not of a process: three workers with limit 3 run 3 jobs at a time.
func TestQ5LimitHoldsForAllWorkersTogether(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	l := newLedger()
	for range 3 {
		openLane(t, openFor(t, s), "lane", 3, l.handler(5*time.Millisecond))
	}
	q := openFor(t, s)
	for n := range 200 {
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", strconv.Itoa(n))))
	}
	l.await(t, 200)
	l.settled(t, 0)
	assert.EqualValues(t, 3, l.most.Load())
}

// A worker that pauses the lane leaves its jobs to the others, also those it has been given and has not started.
func TestPausedWorkerLeavesJobsToOthers(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	paused, l := openFor(t, s), newLedger()
	started, release := make(chan struct{}, 4), make(chan struct{})
	lane := openLane(t, paused, "lane", 4, func(context.Context, queue.Job) queue.Disposition {
		started <- struct{}{}
		<-release
		return queue.Disposition{Action: queue.Postpone}
	})
	for n := range 8 {
		require.NoError(t, paused.Enqueue(t.Context(), jobFor("lane", strconv.Itoa(n))))
	}
	for range 4 {
		<-started
	}
	lane.Limit(0)
	close(release) // the four come back, and this worker takes none any more
	openLane(t, openFor(t, s), "lane", 4, l.handler(0))
	l.await(t, 8)
	l.settled(t, 0)
	assert.Empty(t, started)
}

// Q10: every process counts the same: what its owner holds and has not started is due, also when it gives the lane
// up by pausing or stopping it.
func TestQ10CountsWhatWorkersGaveBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(queue.Lane){
		"paused":  func(l queue.Lane) { l.Limit(0) },
		"stopped": func(l queue.Lane) { stopLane(t, l) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := store("1", "jobs", natstest.New(t, 1).URL())
			worker, other := openFor(t, s), openFor(t, s)
			wait := queue.LaneOptions{Limit: 4, Admit: func() time.Duration { return time.Second }}
			lane, err := worker.Open("lane", wait, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
			require.NoError(t, err)
			for n := range 3 {
				require.NoError(t, other.Enqueue(t.Context(), jobFor("lane", strconv.Itoa(n))))
			}
			counts := func(q *natsqueue.Queue, want queue.Counts) {
				require.Eventually(t, func() bool {
					c, err := q.Count(t.Context(), "lane")
					return assert.NoError(t, err) && c == want
				}, patience, 20*time.Millisecond, "%v", want)
			}
			counts(other, queue.Counts{Due: 3})
			counts(worker, queue.Counts{Due: 3})
			end(lane)
			counts(other, queue.Counts{Due: 3})
			counts(worker, queue.Counts{Due: 3})
			n, err := other.Purge(t.Context(), "lane")
			require.NoError(t, err)
			assert.Equal(t, 3, n)
			stopLane(t, lane)
		})
	}
}

// A strict lane goes on where it was with another worker: attempts made, time of the next one, and nothing overtakes.
func TestQ7StrictLaneMovesToAnotherWorker(t *testing.T) {
	t.Parallel()
	s := store("3", "jobs", natstest.New(t, 3).URL())
	strict := func(id string) queue.Job {
		j := jobFor("lane", id)
		j.OrderKey = "strict"
		return j
	}
	first := openFor(t, s)
	require.NoError(t, first.Enqueue(t.Context(), strict("a"), strict("b"), strict("c")))
	began := time.Now().Add(-time.Hour).Round(0)
	failed := make(chan time.Time, 1)
	lane, err := first.Open("lane", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Began: began}
		}
		failed <- time.Now()
		return queue.Disposition{Action: queue.Retry, Delay: 2 * time.Second, Began: time.Now()}
	})
	require.NoError(t, err)
	at := <-failed
	stopLane(t, lane)
	c, err := first.Count(t.Context(), "lane")
	require.NoError(t, err)
	assert.Equal(t, queue.Counts{Due: 2, Later: 1}, c)

	var mu sync.Mutex
	var order []string
	done := make(chan struct{})
	second := openFor(t, s)
	lane = openLane(t, second, "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, fmt.Sprintf("%s %d", j.Event.ID(), j.Attempt))
		if len(order) == 1 {
			assert.True(t, j.FirstTried.Equal(began))
			assert.GreaterOrEqual(t, time.Since(at), 2*time.Second)
		}
		if len(order) == 3 {
			close(done)
		}
		return queue.Disposition{Action: queue.Done}
	})
	// Nothing is due while the first job holds up the others.
	drainCtx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, lane.Drain(drainCtx, time.Time{}))
	select {
	case <-done:
	case <-time.After(patience):
		require.Fail(t, "the lane does not go on")
	}
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, []string{"a 2", "b 0", "c 0"}, order)
}

// Q11: of a worker that starts a scheduled job and another process that cancels it, one wins, and both know.
func TestQ11CancelMeetsStart(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	s := store("1", "jobs", c.URL())
	here, there := openFor(t, s), openFor(t, s)
	var ran sync.Map
	openLane(t, here, "lane", 8, func(_ context.Context, j queue.Job) queue.Disposition {
		ran.Store(j.Event.ID(), true)
		return queue.Disposition{Action: queue.Done}
	})
	var cancelled, startedJobs atomic.Int64
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() {
			id := strconv.Itoa(n)
			assert.NoError(t, there.Schedule(t.Context(), id, jobFor("lane", id)))
			found, err := there.Cancel(t.Context(), "lane", id)
			assert.NoError(t, err)
			if found {
				cancelled.Add(1)
				<-time.After(300 * time.Millisecond)
				_, ran := ran.Load(id)
				assert.False(t, ran, "job %s was cancelled and ran", id)
				return
			}
			startedJobs.Add(1)
			assert.Eventually(t, func() bool { _, ok := ran.Load(id); return ok }, patience, 5*time.Millisecond)
		})
	}
	wg.Wait()
	t.Logf("%d cancelled, %d started", cancelled.Load(), startedJobs.Load())
}

// Q4: how late jobs with a later time start, with a hundred a second due, against the stated precision.
func TestQ4PrecisionOfSchedules(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			q := openFor(t, store(strconv.Itoa(nodes), "jobs", natstest.New(t, nodes).URL()))
			const jobs = 200
			late := make(chan time.Duration, jobs)
			openLane(t, q, "lane", 16, func(_ context.Context, j queue.Job) queue.Disposition {
				late <- time.Since(j.NotBefore)
				return queue.Disposition{Action: queue.Done}
			})
			var batch []queue.Job
			for n := range jobs {
				j := jobFor("lane", strconv.Itoa(n))
				j.NotBefore = time.Now().Add(500*time.Millisecond + time.Duration(n)*10*time.Millisecond)
				batch = append(batch, j)
			}
			require.NoError(t, q.Enqueue(t.Context(), batch...))
			var latest, sum time.Duration
			for range jobs {
				d := <-late
				require.Positive(t, d, "a job started before its time")
				latest, sum = max(latest, d), sum+d
			}
			t.Logf("late by %v on average, %v at most; stated is %v", sum/jobs, latest, q.Properties().Precision)
			const slack = 5 * time.Second // for a busy machine
			assert.Less(t, latest, q.Properties().Precision+slack)
		})
	}
}

// Q5: a worker that has to wait, as by its circuit breaker when only its own way to the destination is broken,
// leaves the jobs to the others, and takes part again when it may.
func TestQ5WorkerThatHasToWaitLeavesJobsToOthers(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	q, waiting := openFor(t, s), openFor(t, s)
	var wait atomic.Bool
	var asked atomic.Int64
	wait.Store(true)
	admit := func() time.Duration {
		asked.Add(1)
		if wait.Load() {
			return 1500 * time.Millisecond
		}
		return 0
	}
	first := newLedger()
	lane, err := waiting.Open("lane", queue.LaneOptions{Limit: 2, Admit: admit}, first.handler(0))
	require.NoError(t, err)
	t.Cleanup(func() { stopLane(t, lane) })
	for n := range 8 {
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", strconv.Itoa(n))))
	}
	require.Eventually(t, func() bool { return asked.Load() > 0 }, patience, 5*time.Millisecond)
	l := newLedger()
	other := openLane(t, q, "lane", 2, l.handler(0))
	l.await(t, 8)
	l.settled(t, 0)
	other.Limit(0)
	wait.Store(false)
	for n := range 4 {
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "again"+strconv.Itoa(n))))
	}
	first.await(t, 4)
	first.settled(t, 0)
}
