package durable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
	"github.com/tocsin-go/tocsin/event"
)

func TestConforms(t *testing.T) {
	t.Parallel()
	for name, window := range map[string]int{"a large window": MostWindow, "a small window": 2} {
		t.Run(name, func(t *testing.T) {
			queuetest.Run(t, queuetest.Suite{
				New: func(t *testing.T) queue.Queue {
					q := newFakeStore().queue(t, nil)
					q.SetWindow(window)
					return q
				},
				Bubble: synctest.Test,
				Crowd:  300,
			})
		})
	}
}

// TestRestart: times, attempts, keys, order and dead letters outlast it.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		var r ran
		l := serve(t, q, 1, r.handler(func(j queue.Job) queue.Disposition {
			switch j.Event.ID() {
			case "dead":
				return queue.Disposition{Action: queue.Dead, Began: time.Now(), Reason: "no use"}
			case "retried":
				return queue.Disposition{Action: queue.Retry, Began: time.Now(), Delay: time.Minute}
			}
			return queue.Disposition{}
		}))
		retried, follower, scheduled, replaced := job("retried"), job("follower"), job("scheduled"), job("replaced")
		retried.OrderKey, follower.OrderKey = "key", "key"
		scheduled.NotBefore, replaced.NotBefore = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
		require.NoError(t, q.Enqueue(t.Context(), retried, follower, job("dead"), job("done")))
		require.NoError(t, q.Schedule(t.Context(), "name", replaced))
		require.NoError(t, q.Schedule(t.Context(), "name", scheduled))
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		require.NoError(t, l.Stop(t.Context()))
		assert.Equal(t, once([]queue.Job{retried, job("dead"), job("done")}), r.ids())

		q = s.reopen(t, q)
		require.NoError(t, q.Enqueue(t.Context(), retried, job("done")), "both are known")
		c, err := q.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: 1, Later: 2, Dead: 1}, c)
		found, err := q.Cancel(t.Context(), "a", "name")
		require.NoError(t, err)
		assert.True(t, found)
		letters, err := q.DeadLetters(t.Context(), queue.Selection{})
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Equal(t, "no use", letters[0].Reason)
		var after ran
		drain(t, serve(t, q, 4, after.handler(func(j queue.Job) queue.Disposition {
			if j.Event.ID() == "retried" {
				assert.Equal(t, 1, j.Attempt)
				assert.False(t, j.FirstTried.IsZero())
			}
			return queue.Disposition{}
		})))
		assert.Equal(t, []string{"retried", "follower"}, after.order)
	})
}

func job(id string) queue.Job {
	e := event.Must(event.GrantRevoked{Reason: "because"}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
	return queue.Job{Event: e, Lane: "a", Enqueued: time.Now()}
}

func jobs(n int) []queue.Job {
	all := make([]queue.Job, n)
	for i := range all {
		all[i] = job(fmt.Sprintf("e%d", i))
	}
	return all
}

// ran counts what ran, by id.
type ran struct {
	mu    sync.Mutex
	times map[string]int
	order []string
}

func (r *ran) handler(answer func(queue.Job) queue.Disposition) queue.Handler {
	return func(_ context.Context, j queue.Job) queue.Disposition {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.times == nil {
			r.times = map[string]int{}
		}
		r.times[j.Event.ID()]++
		r.order = append(r.order, j.Event.ID())
		return answer(j)
	}
}

func done(queue.Job) queue.Disposition { return queue.Disposition{} }

func (r *ran) ids() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.times)
}

func once(all []queue.Job) map[string]int {
	want := map[string]int{}
	for _, j := range all {
		want[j.Event.ID()] = 1
	}
	return want
}

func serve(t *testing.T, q *Queue, limit int, h queue.Handler) queue.Lane {
	t.Helper()
	l, err := q.Open("a", queue.LaneOptions{Limit: limit}, h)
	require.NoError(t, err)
	return l
}

func drain(t *testing.T, l queue.Lane) {
	t.Helper()
	require.NoError(t, l.Drain(t.Context(), time.Now().Add(time.Hour)))
}

// bubble runs a test in fake time with a queue over a fake store.
func bubble(t *testing.T, f func(t *testing.T, s *fakeStore, q *Queue)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		f(t, s, s.queue(t, nil))
	})
}

// TestAFailureIsOnlyTheCallsThatItConcerns: the others of its transaction are stored.
func TestAFailureIsOnlyTheCallsThatItConcerns(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		var wg sync.WaitGroup
		release := s.holdFirst(t, q, &wg)
		errs := make([]error, 20)
		bad := errors.New("bad")
		for i := range errs {
			wg.Go(func() {
				if i%5 == 3 {
					errs[i] = q.Change(t.Context(), "change", 1, 0, func(Tx) error { return bad })
				} else {
					errs[i] = q.Enqueue(t.Context(), job(fmt.Sprintf("e%d", i)))
				}
			})
		}
		synctest.Wait()
		assert.Equal(t, len(errs), q.Stats().Waiting)
		release()
		wg.Wait()
		for i, err := range errs {
			if i%5 == 3 {
				require.ErrorIs(t, err, bad)
			} else {
				require.NoError(t, err)
			}
		}
		c, err := q.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: 17}, c)
	})
}

// TestFailures: whatever fails for a while, what was acknowledged runs, and no job is settled twice.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"begin", "append", "settle", "commit", "load"} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
				q.SetWindow(4)
				all := jobs(30)
				for _, j := range all[:20] {
					require.NoError(t, q.Enqueue(t.Context(), j))
				}
				s.setFault(failing(op))
				var r ran
				l := serve(t, q, 2, r.handler(done))
				<-time.After(time.Minute)
				if op == "load" {
					assert.Empty(t, r.ids(), "nothing can be read")
				} else {
					assert.LessOrEqual(t, len(r.ids()), 20)
				}
				for _, j := range all[20:] {
					err := q.Enqueue(t.Context(), j)
					assert.Equal(t, op == "load" || op == "settle", err == nil, "%v", err)
				}
				s.setFault(nil)
				require.NoError(t, q.Enqueue(t.Context(), all...))
				drain(t, l)
				assert.Equal(t, once(all), r.ids())
				c, err := q.Count(t.Context(), "a")
				require.NoError(t, err)
				assert.Equal(t, queue.Counts{}, c)
			})
		})
	}
}

// TestCrashes: wherever the process ends, what was acknowledged runs after it, and at most what ran runs again.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"begin", "append", "settle", "commit"} {
		for n := 1; n <= 40; n += 3 {
			t.Run(fmt.Sprintf("%s %d", op, n), func(t *testing.T) {
				bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
					const limit = 3
					s.setFault(crashing(op, n))
					var before, after ran
					l := serve(t, q, limit, before.handler(done))
					acknowledged := map[string]bool{}
					for _, j := range jobs(30) {
						j.OrderKey = j.Event.ID()[:2]
						if q.Enqueue(t.Context(), j) == nil {
							acknowledged[j.Event.ID()] = true
						}
					}
					synctest.Wait()
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					require.NoError(t, l.Stop(ctx))
					s.setFault(nil)
					q = s.reopen(t, q)
					drain(t, serve(t, q, limit, after.handler(done)))
					again := 0
					for id := range acknowledged {
						runs := before.ids()[id] + after.ids()[id]
						assert.Positive(t, runs, "acknowledged job %s is lost", id)
						if runs > 1 {
							again++
						}
					}
					assert.LessOrEqual(t, again, limit)
				})
			})
		}
	}
}

// TestWhatComesWhileTheStoreIsRead is neither forgotten nor run twice, nor does it come back once it is purged.
func TestWhatComesWhileTheStoreIsRead(t *testing.T) {
	t.Parallel()
	later := job("later")
	later.NotBefore = time.Now().Add(100 * 365 * 24 * time.Hour)
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, q *Queue)
		runs      int
		later     int
	}{
		"a job":  {func(t *testing.T, q *Queue) { assert.NoError(t, q.Enqueue(t.Context(), job("meanwhile"))) }, 7, 0},
		"a time": {func(t *testing.T, q *Queue) { assert.NoError(t, q.Enqueue(t.Context(), later)) }, 6, 1},
		"a purge": {func(t *testing.T, q *Queue) {
			n, err := q.Purge(t.Context(), "a")
			assert.NoError(t, err)
			assert.Equal(t, 5, n)
		}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
				require.NoError(t, q.Enqueue(t.Context(), jobs(5)...))
				release := make(chan struct{})
				s.setFault(func(op string) error {
					if op == "load" {
						<-release
					}
					return nil
				})
				var r ran
				q.SetWindow(2)
				l := serve(t, q, 0, r.handler(done))
				synctest.Wait()
				var wg sync.WaitGroup
				wg.Go(func() { c.meanwhile(t, q) })
				synctest.Wait()
				close(release)
				wg.Wait()
				require.NoError(t, q.Enqueue(t.Context(), job("afterwards")))
				l.Limit(1)
				require.NoError(t, l.Drain(t.Context(), time.Time{}))
				assert.Len(t, r.ids(), c.runs)
				assert.Equal(t, len(r.order), c.runs, "each once")
				counts, err := q.Count(t.Context(), "a")
				require.NoError(t, err)
				assert.Equal(t, queue.Counts{Later: c.later}, counts)
			})
		})
	}
}

// TestALargeCall is stored in parts, all of them or, in conflict, none; others come in between, and are refused if they
// are in conflict with a part that is not there yet.
func TestALargeCall(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		all := jobs(1000)
		other := job("e999")
		other.Event = event.Must(event.GrantRevoked{Reason: "another"}, event.Meta{ID: "e999", Tenant: "tenant", Subject: "subject"})
		commits := 0
		var between, conflict error
		var wg sync.WaitGroup
		s.setFault(func(op string) error {
			if op != "commit" {
				return nil
			}
			if commits++; commits == 3 {
				wg.Go(func() { between = q.Enqueue(t.Context(), job("between")) })
				wg.Go(func() { conflict = q.Enqueue(t.Context(), other) })
			}
			return nil
		})
		require.NoError(t, q.Enqueue(t.Context(), all...))
		wg.Wait()
		require.NoError(t, between)
		var want *queue.ConflictError
		require.ErrorAs(t, conflict, &want)
		assert.Equal(t, "e999", want.EventID)
		assert.GreaterOrEqual(t, s.commits, 10)

		again := append(slices.Clone(all[:500]), jobs(1200)[500:]...)
		again[1100] = other
		require.ErrorAs(t, q.Enqueue(t.Context(), again...), &want)
		c, err := q.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: 1001}, c, "nothing of a call in conflict is stored")
	})
}

// TestStepsOfTheClock: no job runs with times of the clock before a step, none becomes due by it until the store has
// followed it, and a pause is as long as it is.
func TestStepsOfTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		began := time.Now()
		var mu sync.Mutex
		set := time.Duration(0)
		clock := func() lanes.Reading {
			mu.Lock()
			defer mu.Unlock()
			return lanes.Reading{Wall: time.Now().Add(set).UnixNano(), Elapsed: int64(time.Since(began))}
		}
		step := func(by time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			set += by
		}
		wall := func() time.Time { return time.Unix(0, clock().Wall) }
		s := newFakeStore()
		q := s.queue(t, clock)
		ages := make(chan time.Duration, 10)
		l := serve(t, q, 1, func(_ context.Context, j queue.Job) queue.Disposition {
			ages <- wall().Sub(j.Enqueued)
			if j.Event.ID() == "paused" && j.Attempt == 0 {
				return queue.Disposition{Action: queue.Retry, Delay: 2 * time.Second, Began: wall()}
			}
			return queue.Disposition{}
		})
		l.Limit(0)
		require.NoError(t, q.Enqueue(t.Context(), job("running")))
		tomorrow := job("tomorrow")
		tomorrow.NotBefore = wall().Add(day)
		require.NoError(t, q.Enqueue(t.Context(), tomorrow))
		s.setFault(failing("follow"))
		step(day + time.Hour)
		l.Limit(1)
		assert.Less(t, <-ages, time.Minute, "it ran with the age it has")
		<-time.After(time.Minute)
		assert.False(t, q.Stats().Followed)
		assert.Less(t, q.Now(), wall().Add(-day).UnixNano())
		assert.Empty(t, ages, "what a day makes due is not, until the day was followed")
		s.setFault(nil)
		assert.Less(t, <-ages, 2*time.Minute, "then it is")
		assert.True(t, q.Stats().Followed)

		paused := job("paused")
		paused.Enqueued = wall()
		require.NoError(t, q.Enqueue(t.Context(), paused))
		assert.Less(t, <-ages, time.Second)
		step(-day)
		from := time.Now()
		assert.Less(t, <-ages, time.Minute)
		assert.Less(t, time.Since(from), 4*time.Second)

		paused = job("paused")
		paused.Generation, paused.Enqueued = 1, wall()
		require.NoError(t, q.Enqueue(t.Context(), paused))
		assert.Less(t, <-ages, time.Second)
		s.setFault(failing("follow"))
		step(-day)
		from = time.Now()
		<-time.After(2 * time.Second)
		assert.False(t, q.Stats().Followed)
		s.setFault(nil)
		assert.Less(t, <-ages, time.Minute)
		assert.Less(t, time.Since(from), 5*time.Second, "the store follows later when it could not")

		paused.Generation, paused.Enqueued = 2, wall()
		require.NoError(t, q.Enqueue(t.Context(), paused))
		assert.Less(t, <-ages, time.Second)
		from = time.Now()
		s.setFault(func(op string) error {
			if op == "load" && time.Since(from) >= 2*time.Second {
				s.setFault(nil)
				step(-day)
			}
			return nil
		})
		<-ages
		assert.Less(t, time.Since(from), 4*time.Second, "the clock was set while the store was read")
	})
}

// TestClose: calls after it are refused, and an outcome under way is stored.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *fakeStore, q *Queue) {
		started, goOn := make(chan struct{}), make(chan struct{})
		serve(t, q, 1, func(context.Context, queue.Job) queue.Disposition {
			close(started)
			<-goOn
			return queue.Disposition{}
		})
		require.NoError(t, q.Enqueue(t.Context(), jobs(2)...))
		<-started
		time.AfterFunc(queue.StopGrace/2, func() { close(goOn) })
		require.NoError(t, q.Close())
		require.ErrorIs(t, q.Enqueue(t.Context(), job("late")), errClosed)
		_, err := q.Purge(t.Context(), "a")
		require.ErrorIs(t, err, errClosed)
		_, err = q.Cancel(t.Context(), "none", "key")
		require.ErrorIs(t, err, errClosed)
		_, err = q.Open("b", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
		require.ErrorIs(t, err, errClosed)
		assert.Len(t, s.jobs["a"], 1)
	})
}
