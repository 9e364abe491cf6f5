package memoryqueue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestNamesComeAndGo: lanes that were used and are closed and empty leave nothing, however many there were at a time,
// beside what is known of the latest events.
func TestNamesComeAndGo(t *testing.T) {
	const names = 100_000
	for _, atOnce := range []int{100, 10_000} {
		t.Run(fmt.Sprint(atOnce, " at once"), func(t *testing.T) {
			m := New(Options{IDWindow: 1000})
			use := func(name string) queue.Lane {
				m.Bound(name, queue.Bound{Jobs: 10, Group: "group of " + name, GroupJobs: 10, DropOldest: true, DeadLetters: 3, DeadLetterAge: time.Hour})
				l, err := m.Open(name, queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
					if j.Attempt == 0 {
						return queue.Disposition{Action: queue.Dead, Reason: "no use"}
					}
					return queue.Disposition{}
				})
				require.NoError(t, err)
				done := queue.Job{Event: revoked(name, "done"), Lane: name, Attempt: 1, OrderKey: name}
				dead := queue.Job{Event: revoked("dead-"+name, "dead"), Lane: name}
				later := queue.Job{Event: revoked("later-"+name, "later"), Lane: name, NotBefore: time.Now().Add(time.Hour)}
				require.NoError(t, m.Enqueue(t.Context(), done, dead))
				require.NoError(t, m.Schedule(t.Context(), "key", later))
				return l
			}
			leave := func(name string, l queue.Lane) {
				require.NoError(t, l.Drain(t.Context(), time.Time{}))
				found, err := m.Cancel(t.Context(), name, "key")
				require.NoError(t, err)
				require.True(t, found)
				n, err := m.Discard(t.Context(), queue.Selection{Lane: name})
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.NoError(t, l.Stop(t.Context()))
			}
			some := func(first, n int) {
				open := make([]queue.Lane, n)
				for i := range open {
					open[i] = use(fmt.Sprint("lane", first+i))
				}
				for i, l := range open {
					leave(fmt.Sprint("lane", first+i), l)
				}
			}
			some(0, atOnce) // the runtime keeps memory for each timer and goroutine that there was at a time
			m = New(Options{IDWindow: 1000})
			some(0, 1000) // the window is full
			before := heap.Used()
			for first := 1000; first < names; first += atOnce {
				some(first, min(atOnce, names-first))
			}
			assert.Less(t, heap.Used()-before, int64(1<<20))
			left, err := m.Lanes(t.Context())
			require.NoError(t, err)
			assert.Empty(t, left)
			runtime.KeepAlive(m)
		})
	}
}

// TestNamesInUse: while lanes are opened, closed and forgotten all the time, each job runs once.
func TestNamesInUse(t *testing.T) {
	t.Parallel()
	const names, jobs, workers = 20, 2000, 8
	m := New(Options{})
	var mu sync.Mutex
	runs := map[string]int{}
	handler := func(_ context.Context, j queue.Job) queue.Disposition {
		mu.Lock()
		defer mu.Unlock()
		runs[j.Event.ID()]++
		return queue.Disposition{}
	}
	serve := func(i int) {
		l, err := m.Open(fmt.Sprint("lane ", i%names), queue.LaneOptions{Limit: 2}, handler)
		if errors.Is(err, queue.ErrLaneOpen) {
			return
		}
		assert.NoError(t, err)
		if i%3 == 0 {
			assert.NoError(t, l.Drain(t.Context(), time.Time{}))
		}
		assert.NoError(t, l.Stop(t.Context()))
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < jobs; i += workers {
				name := fmt.Sprint("lane ", i*7%names)
				m.Bound(name, queue.Bound{Group: "group", GroupJobs: 2 * jobs})
				assert.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint("e", i), ""), Lane: name}))
				serve(i)
			}
		})
	}
	wg.Wait()
	for i := range names {
		serve(3 * i)
	}
	assert.Len(t, runs, jobs)
	for id, n := range runs {
		assert.Equal(t, 1, n, id)
	}
	m.Bound("lane 0", queue.Bound{Group: "group", GroupJobs: 1})
	require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("last", ""), Lane: "lane 0"}), "nothing waits in the group")
}
