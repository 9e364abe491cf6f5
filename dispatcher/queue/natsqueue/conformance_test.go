package natsqueue_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestConforms(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			c := natstest.New(t, nodes)
			var made atomic.Int64
			newStore := func() string {
				return store(strconv.Itoa(nodes), fmt.Sprintf("q%d", made.Add(1)), c.URL())
			}
			var stores sync.Map // of each queue
			open := func(t *testing.T, s string) queue.Queue {
				q := openFor(t, s)
				stores.Store(q, s)
				return q
			}
			queuetest.Run(t, queuetest.Suite{
				New: func(t *testing.T) queue.Queue { return open(t, newStore()) },
				Reopen: func(t *testing.T, q queue.Queue) queue.Queue {
					s, _ := stores.Load(q)
					return open(t, s.(string))
				},
				Process: &queuetest.Process{
					Store:  func(*testing.T) string { return newStore() },
					Open:   open,
					Shared: true,
					Kills:  2,
				},
				// Message schedules fire in rounds and within a round in the order stored: times that are to be told
				// apart, which the suite puts two units apart, are further apart than the precision.
				Unit:     500 * time.Millisecond,
				Slack:    10 * time.Second,
				Timeout:  patience,
				Lease:    lease,
				Crowd:    1000,
				Parallel: true,
			})
		})
	}
}
