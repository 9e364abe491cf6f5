package dispatcher

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func deadlineIn(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	at, ok := ctx.Deadline()
	require.True(t, ok)
	return time.Until(at)
}

func TestAttemptsThatBeginTogetherShareALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s limits
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := func() *limit { return s.begin(parent, 10*time.Second, time.Now()) }
		first := begin()
		assert.Equal(t, 10*time.Second, deadlineIn(first.ctx, t))
		<-time.After(10*time.Millisecond - 1)
		second := begin()
		require.Same(t, first, second)
		assert.Equal(t, 10*time.Second-10*time.Millisecond+1, deadlineIn(second.ctx, t), "at most a thousandth less")
		<-time.After(1)
		third := begin()
		require.NotSame(t, first, third)
		assert.Equal(t, 10*time.Second, deadlineIn(third.ctx, t))

		s.end(first)
		require.NoError(t, second.ctx.Err(), "one attempt still runs with it")
		s.end(second)
		require.ErrorIs(t, second.ctx.Err(), context.Canceled, "nobody can join it any more")
		s.end(third)
		require.NoError(t, third.ctx.Err(), "the next attempt may join it")
		require.Same(t, third, begin())
		s.end(third)
		<-time.After(time.Minute)
		require.ErrorIs(t, third.ctx.Err(), context.DeadlineExceeded, "it does not outlive its time")
		require.NoError(t, begin().ctx.Err())
		s.retire()
	})
}

// TestAttemptIsNotCancelledByOthers has an attempt that outlasts the sharing, the route and the next attempts.
func TestAttemptIsNotCancelledByOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s limits
		parent, cancel := context.WithCancel(t.Context())
		long := s.begin(parent, time.Minute, time.Now())
		for range 3 {
			<-time.After(time.Second)
			s.end(s.begin(parent, time.Minute, time.Now()))
		}
		s.retire()
		late := s.begin(parent, time.Minute, time.Now()) // acquired the route just before
		require.NotSame(t, late, s.begin(parent, time.Minute, time.Now()), "a route that was replaced keeps nothing to join")
		s.end(late)
		require.ErrorIs(t, late.ctx.Err(), context.Canceled)
		require.NoError(t, long.ctx.Err())
		cancel()
		require.ErrorIs(t, long.ctx.Err(), context.Canceled, "but the lane's end reaches it")
		s.end(long)
	})
}

// list is a context whose values cannot be compared with ==.
type list struct {
	context.Context
	_ []string
}

func TestContextsOfOtherJobsAreNotShared(t *testing.T) {
	t.Parallel()
	type key struct{}
	var s limits
	a, b := context.WithValue(t.Context(), key{}, "a"), context.WithValue(t.Context(), key{}, "b")
	now := time.Now()
	for _, parent := range []context.Context{a, b, list{Context: a}, list{Context: a}, a} {
		l := s.begin(parent, time.Minute, now)
		assert.Equal(t, parent.Value(key{}), l.ctx.Value(key{}))
		s.end(l)
	}
	s.retire()
}

func TestConcurrentLimits(t *testing.T) {
	t.Parallel()
	var s limits
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				l := s.begin(parent, 20*time.Second, time.Now())
				if l.ctx.Err() != nil {
					t.Error("an attempt began with a context that was over")
				}
				s.end(l)
			}
		})
	}
	wg.Wait()
	last := s.begin(parent, 20*time.Second, time.Now())
	s.retire()
	assert.Equal(t, 1, last.attempts, "all others were counted down")
	s.end(last)
	assert.ErrorIs(t, last.ctx.Err(), context.Canceled)
}
