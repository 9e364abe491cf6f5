package memoryqueue

import (
	"context"
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStress: 64 producers, lanes that fail, retry, become dead and are paused, stopped and opened again, under -race:
// each job is settled once per lane, and afterwards the queue is as empty as a new one.
func TestStress(t *testing.T) {
	t.Parallel()
	const producers, each, lanes = 64, 40, 8
	m := New(Options{})
	var settled [lanes]sync.Map
	var count atomic.Int64
	finished := make(chan struct{})
	handler := func(lane int) queue.Handler {
		return func(_ context.Context, j queue.Job) queue.Disposition {
			n := len(j.Event.ID()) + int(j.Event.ID()[len(j.Event.ID())-1]) + lane
			switch {
			case j.Attempt < n%3:
				if n%5 == 0 {
					return queue.Disposition{Action: queue.Retry, Began: time.Now()}
				}
				return queue.Disposition{Action: queue.Retry, Began: time.Now(), Delay: time.Duration(n%7) * time.Millisecond}
			case n%11 == 0 && j.NotBefore.IsZero():
				return queue.Disposition{Action: queue.Postpone, Delay: time.Millisecond}
			}
			if _, twice := settled[lane].LoadOrStore(j.Event.ID(), true); twice {
				assert.Fail(t, "settled twice", j.ID())
			}
			if count.Add(1) == producers*each*lanes {
				close(finished)
			}
			if n%13 == 0 {
				return queue.Disposition{Action: queue.Dead, Reason: "stress"}
			}
			return queue.Disposition{}
		}
	}
	var mu sync.Mutex // guards the first lane, which is opened again and again
	open := make([]queue.Lane, lanes)
	lane := func(i int) queue.Lane {
		mu.Lock()
		defer mu.Unlock()
		return open[i]
	}
	for i := range lanes {
		l, err := m.Open(fmt.Sprint(i), queue.LaneOptions{Limit: 4}, handler(i))
		require.NoError(t, err)
		open[i] = l
	}
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				e := revoked(fmt.Sprintf("e%d-%d", p, n), "")
				var jobs []queue.Job
				for i := range lanes {
					j := queue.Job{Event: e, Lane: fmt.Sprint(i)}
					if i%2 == 0 {
						j.OrderKey = fmt.Sprint(n % 5)
					}
					jobs = append(jobs, j)
				}
				assert.NoError(t, m.Enqueue(context.Background(), jobs...))
				if n%8 == 0 {
					assert.NoError(t, m.Enqueue(context.Background(), jobs...))
				}
				if i := p % lanes; n%10 == 0 {
					lane(i).Limit(n / 10 % 3)
				} else {
					lane(i).Limit(1 + n%6)
				}
			}
		})
	}
	for range 20 { // while they enqueue
		assert.NoError(t, lane(0).Stop(t.Context()))
		l, err := m.Open("0", queue.LaneOptions{Limit: 4}, handler(0))
		require.NoError(t, err)
		mu.Lock()
		open[0] = l
		mu.Unlock()
	}
	wg.Wait()
	for _, l := range open {
		l.Limit(4)
	}
	<-finished
	for i, l := range open {
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		stop(t, l)
		c, err := m.Count(t.Context(), fmt.Sprint(i))
		require.NoError(t, err)
		assert.Zero(t, c.Waiting()+c.Running)
	}
}
