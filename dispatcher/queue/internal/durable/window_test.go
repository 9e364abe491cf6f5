package durable

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestRetriesAtOnceDoNotKeepTheWindow: those stored behind them get their turn.
func TestRetriesAtOnceDoNotKeepTheWindow(t *testing.T) {
	for _, urgent := range []bool{false, true} {
		t.Run(fmt.Sprint("urgent ", urgent), func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *fakeStore, q *Queue) {
				q.SetWindow(8)
				all := jobs(60)
				for i := range all {
					all[i].Urgent = urgent
				}
				require.NoError(t, q.Enqueue(t.Context(), all...))
				var r ran
				l := serve(t, q, 2, r.handler(func(j queue.Job) queue.Disposition {
					if j.Event.ID() < "e3" && j.Attempt < 500 { // 22 of them, more than the window
						return queue.Disposition{Action: queue.Retry, Began: time.Now()}
					}
					return queue.Disposition{}
				}))
				drain(t, l)
				last := 0
				for i, id := range r.order {
					if id == "e59" {
						last = i
					}
				}
				assert.Less(t, last, len(r.order)/2, "it did not wait for the end of all the attempts")
			})
		})
	}
}

// TestUrgentJobsHaveAWindow: not all that come are in memory, and all go first.
func TestUrgentJobsHaveAWindow(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
				const n = 300
				set := func() {
					q.SetWindow(LeastWindow)
				}
				set()
				l := serve(t, q, 0, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
				all := jobs(2 * n)
				for i := range n {
					all[i+n].Urgent = true
				}
				require.NoError(t, q.Enqueue(t.Context(), all[:n]...))
				for _, j := range all[n:] {
					require.NoError(t, q.Enqueue(t.Context(), j))
				}
				assert.LessOrEqual(t, q.InMemory("a").Waiting, 2*LeastWindow)
				require.NoError(t, l.Stop(t.Context()))
				if restart {
					q = s.reopen(t, q)
					set()
				}
				var r ran
				l = serve(t, q, 0, r.handler(done))
				synctest.Wait()
				l.Limit(1)
				drain(t, l)
				var want []string
				for _, j := range append(all[n:], all[:n]...) {
					want = append(want, j.Event.ID())
				}
				assert.Equal(t, want, r.order)
			})
		})
	}
}

// TestAFailedPurgeKeepsTheOrder of the jobs that it would have removed.
func TestAFailedPurgeKeepsTheOrder(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		var r ran
		l := serve(t, q, 0, r.handler(done))
		all := jobs(9)
		require.NoError(t, q.Enqueue(t.Context(), all...))
		s.setFault(failing("commit"))
		_, err := q.Purge(t.Context(), "a")
		require.Error(t, err)
		s.setFault(nil)
		l.Limit(1)
		drain(t, l)
		var want []string
		for _, j := range all {
			want = append(want, j.Event.ID())
		}
		assert.Equal(t, want, r.order)
	})
}
