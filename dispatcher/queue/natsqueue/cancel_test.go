package natsqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
)

// lostDeletion schedules a job and cancels it by a process whose request to delete the message is lost.
func lostDeletion(t *testing.T, s *servers, at time.Time) (q *natsqueue.Queue) {
	t.Helper()
	s.config.Timeout = time.Second
	q = s.worker()
	j := jobFor("lane", "cancelled")
	j.NotBefore = at
	require.NoError(t, q.Schedule(t.Context(), "key", j))
	s.proxy.Lose("$JS.API.STREAM.MSG.DELETE.")
	found, err := q.Cancel(t.Context(), "lane", "key")
	require.Error(t, err, "whether it was removed is not known")
	assert.False(t, found)
	return q
}

// Q11: a Cancel whose request to delete is lost is an error, and asking again, there or elsewhere, says the truth:
// there was a job, it had not started, and now it never will.
func TestQ11CancelWhoseDeletionIsLost(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Duration{"waiting": time.Hour, "due": -time.Second} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newServers(t, 1)
				q := lostDeletion(t, s, time.Now().Add(at))
				s.proxy.Heal()
				if elsewhere {
					q = s.queue(s.direct)
				}
				var found bool
				require.Eventually(t, func() bool {
					var err error
					found, err = q.Cancel(t.Context(), "lane", "key")
					return err == nil
				}, patience, 10*time.Millisecond)
				assert.True(t, found)
				c, err := q.Count(t.Context(), "lane")
				require.NoError(t, err)
				assert.Equal(t, queue.Counts{}, c)
				found, err = q.Cancel(t.Context(), "lane", "key")
				require.NoError(t, err)
				assert.False(t, found, "it is gone")
			})
		}
	}
}

// Q11: nobody asks again; the process that cancelled removes the job as soon as it is heard, long before its mark
// is gone.
func TestQ11CancelledJobIsRemovedLater(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	q := lostDeletion(t, s, time.Now().Add(time.Hour))
	s.proxy.Heal()
	require.Eventually(t, func() bool {
		c, err := q.Count(t.Context(), "lane")
		return err == nil && c == queue.Counts{}
	}, patience, 50*time.Millisecond)
}

// Q11: a Schedule in the place of another whose removal is lost is an error; asked again, one of them runs.
func TestQ11ScheduleWhoseDeletionIsLost(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	s.config.Timeout = time.Second
	q := s.worker()
	ran := make(chan string, 10)
	openLane(t, s.queue(s.direct), "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		ran <- j.Event.ID()
		return queue.Disposition{}
	})
	schedule := func(id string, after time.Duration) error {
		j := jobFor("lane", id)
		j.NotBefore = time.Now().Add(after)
		return q.Schedule(t.Context(), "key", j)
	}
	require.NoError(t, schedule("previous", 3*time.Second))
	s.proxy.Lose("$JS.API.STREAM.MSG.DELETE.")
	require.Error(t, schedule("new", 4*time.Second))
	s.proxy.Heal()
	require.Eventually(t, func() bool { return schedule("new", 2*time.Second) == nil }, patience, 10*time.Millisecond)
	require.NoError(t, q.Schedule(t.Context(), "last", jobFor("lane", "last")))
	assert.Equal(t, "last", <-ran)
	assert.Equal(t, "new", <-ran)
	<-time.After(4 * time.Second)
	assert.Empty(t, ran)
}
