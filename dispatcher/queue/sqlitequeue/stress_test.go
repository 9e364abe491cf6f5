package sqlitequeue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// stress is a queue under everything at once, and what must come out of it.
type stress struct {
	mu        sync.Mutex
	settled   map[string]int // job ids that are done or dead, how often
	busy      map[string]bool
	latest    map[string]int // by lane, key and enqueuer: number of the job that was settled last
	due       map[string]time.Time
	cancelled map[string]bool
	problems  []string
}

const (
	stressLanes     = 5
	stressEnqueuers = 6
	stressEach      = 80 // jobs of an enqueuer and round
)

func (s *stress) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// handle fails now and then, and watches order, time and who else runs.
func (s *stress) handle(_ context.Context, j queue.Job) queue.Disposition {
	now := time.Now()
	var enqueuer, n int
	_, _ = fmt.Sscanf(j.Event.ID(), "e%d-%d", &enqueuer, &n)
	key := j.Lane + "/" + j.OrderKey
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.OrderKey != "" && s.busy[key] {
		s.problem("two jobs of key %s at a time", key)
	}
	if due, ok := s.due[j.ID()]; ok && now.Before(due.Add(-time.Millisecond)) {
		s.problem("job %s started %v early", j.ID(), due.Sub(now))
	}
	if s.cancelled[j.ID()] {
		s.problem("cancelled job %s started", j.ID())
	}
	if s.settled[j.ID()] > 0 {
		s.problem("job %s started although it was settled", j.ID())
	}
	s.busy[key] = true
	s.mu.Unlock()
	if rand.IntN(4) == 0 {
		<-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	s.mu.Lock()
	s.busy[key] = false
	switch rand.IntN(10) {
	case 0:
		delay := time.Duration(rand.IntN(20)) * time.Millisecond
		s.due[j.ID()] = time.Now().Add(delay)
		return queue.Disposition{Action: queue.Retry, Delay: delay, Began: now}
	case 1:
		return queue.Disposition{Action: queue.Retry, Began: now}
	case 2:
		return queue.Disposition{Action: queue.Postpone}
	case 3:
		s.settle(j, key, enqueuer, n)
		return queue.Disposition{Action: queue.Dead, Reason: "chance", Began: now}
	default:
		s.settle(j, key, enqueuer, n)
		return queue.Disposition{Action: queue.Done, Began: now}
	}
}

func (s *stress) settle(j queue.Job, key string, enqueuer, n int) {
	s.settled[j.ID()]++
	if j.OrderKey == "" {
		return
	}
	key = fmt.Sprint(key, enqueuer)
	if before, ok := s.latest[key]; ok && n < before {
		s.problem("job %d of key %s was settled after job %d", n, key, before)
	}
	s.latest[key] = n
}

// TestEverythingAtOnce: enqueue with and without keys and times, retries, schedules, cancellations, changes of the
// limit, and restarts, with a window so small that nearly everything is read back. Each job is settled once.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := &stress{
		settled: map[string]int{}, busy: map[string]bool{}, latest: map[string]int{}, due: map[string]time.Time{},
		cancelled: map[string]bool{},
	}
	path := newPath(t)
	promised := map[string]bool{}
	for round := range 3 {
		q, err := Open(t.Context(), path, Options{})
		require.NoError(t, err)
		q.durable.SetWindow(3)
		lanes := make([]queue.Lane, stressLanes)
		for i := range lanes {
			lanes[i] = serve(t, q, fmt.Sprintf("lane%d", i), 3, s.handle)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for e := range stressEnqueuers {
			wg.Go(func() {
				for i := range stressEach {
					n := round*stressEach + i
					j := queue.Job{Event: kilobyte(fmt.Sprintf("e%d-%d", e, n)), Lane: fmt.Sprintf("lane%d", rand.IntN(stressLanes)), Enqueued: time.Now()}
					switch rand.IntN(4) {
					case 0:
						j.OrderKey = fmt.Sprint(rand.IntN(3))
					case 1:
						j.NotBefore = time.Now().Add(time.Duration(rand.IntN(30)) * time.Millisecond)
						s.mu.Lock()
						s.due[j.ID()] = j.NotBefore
						s.mu.Unlock()
					}
					mu.Lock()
					promised[j.ID()] = true
					mu.Unlock()
					if rand.IntN(6) > 0 {
						assert.NoError(t, q.Enqueue(context.Background(), j))
						continue
					}
					assert.NoError(t, q.Schedule(context.Background(), j.Event.ID(), j))
					if rand.IntN(2) == 0 {
						continue
					}
					found, err := q.Cancel(context.Background(), j.Lane, j.Event.ID())
					assert.NoError(t, err)
					if found {
						s.mu.Lock()
						s.cancelled[j.ID()] = true
						s.mu.Unlock()
						mu.Lock()
						delete(promised, j.ID())
						mu.Unlock()
					}
					lanes[rand.IntN(stressLanes)].Limit(rand.IntN(5))
				}
			})
		}
		wg.Wait()
		for _, l := range lanes {
			l.Limit(3)
		}
		if round == 2 {
			eventually(t, func() bool {
				left := 0
				for i := range lanes {
					c := count(t, q, fmt.Sprintf("lane%d", i))
					left += c.Waiting() + c.Running
				}
				return left == 0
			}, "all jobs are settled")
			for i, l := range lanes {
				require.NoError(t, l.Drain(t.Context(), time.Time{}))
				assert.Zero(t, count(t, q, fmt.Sprintf("lane%d", i)).Due)
			}
			assert.EqualValues(t, 0, rowsOf(t, q, "job"))
			assert.Equal(t, rowsOf(t, q, "dead"), rowsOf(t, q, "event"), "events of the dead only")
			n, err := q.Discard(t.Context(), queue.Selection{})
			require.NoError(t, err)
			assert.NotZero(t, n)
			assert.EqualValues(t, 0, rowsOf(t, q, "event"))
		}
		for _, l := range lanes {
			require.NoError(t, l.Stop(t.Context()))
		}
		require.NoError(t, q.Close())
	}
	assert.Empty(t, s.problems)
	for id := range promised {
		assert.Equal(t, 1, s.settled[id], "job %s was settled", id)
	}
	assert.Equal(t, len(promised), len(s.settled), "nothing else was settled") //nolint:testifylint // Len would print thousands
}

// TestCancelledInTheCommitThatReleasedIt: a follower is let go and cancelled in one transaction.
func TestCancelledInTheCommitThatReleasedIt(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	ctx := t.Context()
	keyed := func(id string) queue.Job {
		j := job(id, "a")
		j.OrderKey = "x"
		return j
	}
	proceed := make(chan struct{})
	r := newRan()
	l := serve(t, q, "a", 4, func(_ context.Context, j queue.Job) queue.Disposition {
		r.add(j)
		<-proceed
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, q.Enqueue(ctx, keyed("head")))
	require.NoError(t, q.Schedule(ctx, "name", keyed("follower")))
	r.await(t, 1)

	waiting := func(n int) {
		t.Helper()
		eventually(t, func() bool { return q.durable.Stats().Waiting == n }, "they wait")
	}
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.NoError(t, q.write(context.Background(), "hold up", func(*tx) error { close(held); <-release; return nil }))
	})
	<-held
	close(proceed)
	waiting(1) // the head's outcome
	wg.Go(func() {
		found, err := q.Cancel(context.Background(), "a", "name")
		assert.NoError(t, err)
		assert.True(t, found)
	})
	waiting(2)
	close(release)
	wg.Wait()
	require.NoError(t, l.Drain(ctx, time.Time{}))
	assert.Equal(t, map[string]int{"head": 1}, r.ids())
	assert.Equal(t, queue.Counts{}, count(t, q, "a"))
	assert.EqualValues(t, 0, rowsOf(t, q, "event"))
}
