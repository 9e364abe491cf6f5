package memoryqueue

import (
	"context"
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestJobsOfAWorkerShareNothing: one worker runs jobs that fill every field, jobs that fill none, and both again after
// they failed; each comes as it was enqueued, with what is its own and nothing of the one before.
func TestJobsOfAWorkerShareNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		began := time.Now()
		later := began.Add(time.Minute)
		full := queue.Job{
			Event: revoked("full", ""), Lane: "a", OrderKey: "k", Generation: 7, Enqueued: began.Add(-time.Hour), NotBefore: later,
			FirstTried: began.Add(-time.Second), Attempt: 3, Headers: map[string]string{"k": "v"},
		}
		plain := queue.Job{Event: revoked("plain", ""), Lane: "a", Enqueued: began.Add(-time.Minute), Generation: 5}
		last := queue.Job{Event: revoked("last", ""), Lane: "a"}
		var got []queue.Job
		l, err := m.Open("a", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
			got = append(got, j)
			if j.Event.ID() == "full" {
				assert.NoError(t, m.Enqueue(context.Background(), plain, last)) // letters, taken after the entry
			}
			if j.Event.ID() != "last" && len(got) < 4 {
				return queue.Disposition{Action: queue.Retry, Began: time.Now(), Delay: time.Second} // without a delay it would join the letters
			}
			return queue.Disposition{}
		})
		require.NoError(t, err)
		require.NoError(t, m.Enqueue(t.Context(), full))
		<-time.After(time.Hour)
		stop(t, l)
		again := func(j queue.Job, first time.Time) queue.Job {
			j.Attempt++
			j.NotBefore, j.FirstTried = later.Add(time.Second), first
			return j
		}
		want := []queue.Job{full, plain, last, again(full, full.FirstTried), again(plain, later)}
		require.Len(t, got, len(want))
		for i := range want {
			for _, times := range [][2]*time.Time{
				{&want[i].Enqueued, &got[i].Enqueued}, {&want[i].NotBefore, &got[i].NotBefore}, {&want[i].FirstTried, &got[i].FirstTried},
			} {
				assert.True(t, times[0].Equal(*times[1]), "%d: %v, want %v", i, times[1], times[0])
				*times[0], *times[1] = time.Time{}, time.Time{}
			}
		}
		assert.Equal(t, want, got)
	})
}

// TestWorkerSurvivesHandlers: of jobs that panic, end their goroutine or succeed, plain and keyed, on one worker and on
// several, each that fails comes back after a second with one attempt counted, the others run once, those of a key stay
// in order, and no worker is lost.
func TestWorkerSurvivesHandlers(t *testing.T) {
	t.Parallel()
	const jobs = 40
	for _, limit := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			m := New(Options{})
			began := time.Now()
			var mu sync.Mutex
			var keyed []string
			ran := map[string][]time.Duration{}
			l, err := m.Open("a", queue.LaneOptions{Limit: limit}, func(_ context.Context, j queue.Job) queue.Disposition {
				mu.Lock()
				id := j.Event.ID()
				assert.Len(t, ran[id], j.Attempt, id)
				ran[id] = append(ran[id], time.Since(began))
				if j.OrderKey != "" {
					keyed = append(keyed, id)
				}
				mu.Unlock()
				switch {
				case j.Attempt > 0:
				case j.Generation == 1:
					panic("on purpose")
				case j.Generation == 2:
					runtime.Goexit()
				}
				return queue.Disposition{}
			})
			require.NoError(t, err)
			want := map[string][]time.Duration{}
			var inOrder []string
			var pause time.Duration // how long the key is behind
			for i := range jobs {
				id := fmt.Sprintf("e%d", i)
				j := queue.Job{Event: revoked(id, ""), Lane: "a", Generation: int64(i % 4)}
				fails := j.Generation == 1 || j.Generation == 2
				start := time.Duration(0)
				if i%5 == 0 {
					j.OrderKey, start = "k", pause
					inOrder = append(inOrder, id)
				}
				want[id] = []time.Duration{start}
				if fails {
					want[id] = append(want[id], start+time.Second)
				}
				if fails && j.OrderKey != "" {
					inOrder = append(inOrder, id)
					pause += time.Second
				}
				require.NoError(t, m.Enqueue(t.Context(), j))
			}
			<-time.After(time.Minute)
			stop(t, l)
			assert.Equal(t, want, ran)
			assert.Equal(t, inOrder, keyed)
			c, err := m.Count(t.Context(), "a")
			require.NoError(t, err)
			assert.Zero(t, c)
		})
	}
}

// TestLanesInAnyOrder: whichever lanes events go to, in whichever order, from several producers at once, each lane gets
// what is for it.
func TestLanesInAnyOrder(t *testing.T) {
	t.Parallel()
	const producers, each, lanes = 8, 200, 12
	m := New(Options{})
	var want [lanes][]string
	var mu sync.Mutex
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(p), 1))
			for n := range each {
				e := revoked(fmt.Sprintf("e%d-%d", p, n), "")
				var jobs []queue.Job
				for _, i := range rng.Perm(lanes)[:rng.IntN(lanes)] {
					jobs = append(jobs, queue.Job{Event: e, Lane: fmt.Sprint(i)})
					mu.Lock()
					want[i] = append(want[i], e.ID())
					mu.Unlock()
				}
				assert.NoError(t, m.Enqueue(context.Background(), jobs...))
			}
		})
	}
	wg.Wait()
	for i := range want {
		var got []string
		l, err := m.Open(fmt.Sprint(i), queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
			assert.Equal(t, fmt.Sprint(i), j.Lane)
			got = append(got, j.Event.ID())
			return queue.Disposition{}
		})
		require.NoError(t, err)
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		stop(t, l)
		assert.ElementsMatch(t, want[i], got)
	}
}

// TestEventTwiceInOneCall: what a call says of an event that is new counts for the rest of the call.
func TestEventTwiceInOneCall(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	job := func(id, lane string) queue.Job { return queue.Job{Event: revoked(id, ""), Lane: lane} }
	require.NoError(t, m.Enqueue(t.Context(), job("e1", "a"), job("e2", "a"), job("e1", "a"), job("e1", "b"), job("e2", "a")))
	assert.Equal(t, 2, dues(t, m, "a"))
	assert.Equal(t, 1, dues(t, m, "b"))
	again := queue.Job{Event: revoked("e3", "one"), Lane: "a"}
	other := queue.Job{Event: revoked("e3", "other"), Lane: "b"}
	require.ErrorAs(t, m.Enqueue(t.Context(), again, job("e4", "a"), other), new(*queue.ConflictError))
	assert.Equal(t, 2, dues(t, m, "a"), "nothing of the call is stored")
}
