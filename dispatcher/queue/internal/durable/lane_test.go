package durable

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// TestAClosedLaneHoldsNothing in memory: what waits is in the store, and comes back in order when it is opened again,
// also what was held back by a job that ran when it was closed.
func TestAClosedLaneHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		all := jobs(6)
		for i := range all {
			all[i].OrderKey = fmt.Sprint(i % 2)
		}
		started, release := make(chan struct{}, 2), make(chan struct{})
		l := serve(t, q, 2, func(context.Context, queue.Job) queue.Disposition {
			started <- struct{}{}
			<-release
			return queue.Disposition{}
		})
		require.NoError(t, q.Enqueue(t.Context(), all...))
		<-started
		<-started
		stopped := make(chan error, 1)
		go func() { stopped <- l.Stop(t.Context()) }()
		synctest.Wait()
		require.NoError(t, q.Enqueue(t.Context(), job("meanwhile")))
		close(release)
		require.NoError(t, <-stopped)
		synctest.Wait()
		assert.Zero(t, q.InMemory("a").Waiting)
		assert.Empty(t, q.lane("a").held)
		require.NoError(t, q.Enqueue(t.Context(), job("afterwards")))
		assert.Zero(t, q.InMemory("a").Waiting)
		var r ran
		drain(t, serve(t, q, 1, r.handler(done)))
		assert.Equal(t, []string{"e2", "e3", "meanwhile", "afterwards", "e4", "e5"}, r.order)
	})
}

// TestLanesThatHoldNothingAreForgotten, some at a time, and with them their bounds; a store that cannot forget them
// does so later.
func TestLanesThatHoldNothingAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		use := func(name string) {
			q.Bound(name, queue.Bound{Jobs: 1})
			l, err := q.Open(name, queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
			require.NoError(t, err)
			j := job("e")
			j.Lane = name
			require.NoError(t, q.Enqueue(t.Context(), j))
			require.NoError(t, l.Drain(t.Context(), time.Time{}))
			require.NoError(t, l.Stop(t.Context()))
			synctest.Wait()
		}
		s.setFault(failing("forget"))
		for i := range mostIdle {
			use(fmt.Sprint("lane ", i))
			s.number(q, fmt.Sprint("lane ", i), int64(i+1))
		}
		known := job("e")
		known.Lane = "lane 7"
		require.NoError(t, q.Enqueue(t.Context(), known))
		assert.GreaterOrEqual(t, q.Stats().Lanes, mostIdle-1)
		waits := job("waits")
		waits.Lane = "lane 0"
		more := job("more")
		more.Lane = "lane 0"
		require.NoError(t, q.Enqueue(t.Context(), waits))
		require.NoError(t, q.Enqueue(t.Context(), more), "the bound is forgotten at once")
		s.setFault(nil)
		use("another")
		assert.Equal(t, 1, q.Stats().Lanes)
		c, err := q.Count(t.Context(), "lane 0")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: 2}, c)
		for range 2 * mostIdle { // a job that is known makes no lane
			known.Lane = "lane 7"
			require.NoError(t, q.Enqueue(t.Context(), known))
		}
		assert.LessOrEqual(t, q.Stats().Lanes, 2)
	})
}

// number is what a store does with a lane's first job.
func (s *fakeStore) number(q *Queue, name string, num int64) { q.lane(name).Num = num }

// TestSmallCallsDoNotWaitForLargeOnes, but for one, however many there are.
func TestSmallCallsDoNotWaitForLargeOnes(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		var wg sync.WaitGroup
		release := s.holdFirst(t, q, &wg)
		for i := range 20 {
			wg.Go(func() {
				all := make([]queue.Job, 100)
				for n := range all {
					all[n] = job(fmt.Sprintf("%d-%d", i, n))
					all[n].Lane = "flood"
				}
				assert.NoError(t, q.Enqueue(t.Context(), all...))
			})
		}
		synctest.Wait()
		wg.Go(func() { assert.NoError(t, q.Enqueue(t.Context(), job("small"))) })
		synctest.Wait()
		release()
		wg.Wait()
		require.Len(t, s.jobs["a"], 2)
		assert.LessOrEqual(t, s.jobs["a"][1].Ref.Num, int64(1+100+1), "after the first of the large calls")
		assert.EqualValues(t, 1+2000+1, s.lastNum)
	})
}

// TestKeptJobsAreLookedAtOnce: a backlog that is full of jobs to be kept costs no more with each new job.
func TestKeptJobsAreLookedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		const kept = 200
		asked := 0
		bound := queue.Bound{Jobs: kept + 1, DropOldest: true, Keep: func(e event.Event) bool { asked++; return e.ID()[0] == 'e' }}
		q.Bound("a", bound)
		require.NoError(t, q.Enqueue(t.Context(), append(jobs(kept), job("old"))...))
		require.NoError(t, q.Enqueue(t.Context(), job("young")))
		assert.Equal(t, kept+1, asked)
		for i := range 10 {
			require.NoError(t, q.Enqueue(t.Context(), job(fmt.Sprint("younger", i))))
		}
		assert.LessOrEqual(t, asked, kept+1+10)
		q.Bound("a", queue.Bound{Jobs: kept, DropOldest: true, Keep: func(event.Event) bool { return false }})
		require.NoError(t, q.Enqueue(t.Context(), job("last")))
		letters, err := q.DeadLetters(t.Context(), queue.Selection{})
		require.NoError(t, err)
		assert.Equal(t, "e0", letters[len(letters)-1].Event.ID(), "another bound keeps other jobs")
	})
}

// TestRefusesWhatIsBehindARefusedJob of its lane, though a job that starts meanwhile has made room, in the same
// transaction or the next one.
func TestRefusesWhatIsBehindARefusedJob(t *testing.T) {
	for name, n := range map[string]int{"a small call": 2, "a large call": 250} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *fakeStore, q *Queue) {
				require.NoError(t, q.Enqueue(t.Context(), job("waits")))
				q.Bound("a", queue.Bound{Jobs: 1, DropOldest: true, Keep: func(event.Event) bool {
					q.lane("a").add(counts{running: 1}, 0) // as if it started
					return true
				}})
				all := jobs(n)
				other := job("other")
				other.Lane = "b"
				var full *queue.BacklogError
				require.ErrorAs(t, q.Enqueue(t.Context(), append(all, other)...), &full)
				assert.Equal(t, queue.BacklogError{Lanes: []string{"a"}}, *full)
				assert.Equal(t, counts{total: 1, running: 1}, q.lane("a").count())
				assert.Equal(t, counts{total: 1}, q.lane("b").count())
			})
		})
	}
}

// TestNamesInUse: while lanes are opened, closed and forgotten all the time, each job runs once.
func TestNamesInUse(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		const names, n, workers = 2 * mostIdle, 6 * mostIdle, 8
		var r ran
		serve := func(i int) {
			l, err := q.Open(fmt.Sprint("lane ", i%names), queue.LaneOptions{Limit: 2}, r.handler(done))
			if errors.Is(err, queue.ErrLaneOpen) {
				return
			}
			assert.NoError(t, err)
			if i%3 == 0 {
				assert.NoError(t, l.Drain(t.Context(), time.Time{}))
			}
			assert.NoError(t, l.Stop(t.Context()))
		}
		all := jobs(n)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < n; i += workers {
					all[i].Lane = fmt.Sprint("lane ", i*7%names)
					q.Bound(all[i].Lane, queue.Bound{Group: "group", GroupJobs: 2 * n})
					assert.NoError(t, q.Enqueue(t.Context(), all[i]))
					serve(i)
				}
			})
		}
		wg.Wait()
		for i := range names {
			serve(3 * i)
		}
		assert.Equal(t, once(all), r.ids())
		synctest.Wait()
		assert.LessOrEqual(t, q.Stats().Lanes, mostIdle)
		q.Bound("lane 0", queue.Bound{Group: "group", GroupJobs: 1})
		last := job("last")
		last.Lane = "lane 0"
		require.NoError(t, q.Enqueue(t.Context(), last), "nothing waits in the group")
	})
}
