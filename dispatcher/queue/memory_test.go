package queue

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stop(t *testing.T, l Lane) {
	t.Helper()
	require.NoError(t, l.Stop(t.Context()))
}

// TestExactTimes: in a bubble time passes only while all wait, so what the queue adds to a time is seen to the nanosecond.
func TestExactTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		began := time.Now()
		at := map[string][]time.Duration{}
		hold := 5 * time.Second
		l, err := m.Open("a", LaneOptions{Limit: 1, Admit: func() time.Duration {
			defer func() { hold = 0 }()
			return hold
		}}, func(_ context.Context, j Job) Outcome {
			at[j.Event.ID()] = append(at[j.Event.ID()], time.Since(began))
			switch {
			case j.Event.ID() != "e3":
				return Outcome{}
			case j.Attempt == 0:
				return Outcome{Action: Retry, Delay: 1500 * time.Millisecond}
			case j.Attempt == 1:
				hold = 2 * time.Second // the third attempt waits for Admit, not for its delay
				return Outcome{Action: Retry, Delay: time.Millisecond}
			}
			return Outcome{}
		})
		require.NoError(t, err)
		require.NoError(t, m.Enqueue(t.Context(),
			Job{Event: revoked("e1", ""), Route: "a"},
			Job{Event: revoked("e2", ""), Route: "a", NotBefore: began.Add(time.Hour)},
			Job{Event: revoked("e3", ""), Route: "a", NotBefore: began.Add(time.Minute)},
			Job{Event: revoked("e4", ""), Route: "a", NotBefore: began.Add(time.Minute - 1)}))
		<-time.After(2 * time.Hour)
		stop(t, l)
		assert.Equal(t, map[string][]time.Duration{
			"e1": {5 * time.Second},
			"e2": {time.Hour},
			// The alarm rings at most once a millisecond, and rang for e4 a nanosecond before.
			"e3": {
				time.Minute + alarmPause - 1, time.Minute + alarmPause - 1 + 1500*time.Millisecond,
				time.Minute + alarmPause - 1 + 1500*time.Millisecond + time.Millisecond + 2*time.Second,
			},
			"e4": {time.Minute - 1},
		}, at)
	})
}

// TestForever: the greatest delays there are do not wrap round to the past, nor the least ones to the future.
func TestForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		var asked, ran, atOnce int
		l, err := m.Open("held", LaneOptions{Limit: 1, Admit: func() time.Duration { asked++; return math.MaxInt64 }}, mustNotRun(t))
		require.NoError(t, err)
		r, err := m.Open("retried", LaneOptions{Limit: 1}, func(_ context.Context, j Job) Outcome {
			ran++
			if j.NotBefore.IsZero() {
				atOnce++
				return Outcome{Action: Retry, Delay: math.MaxInt64}
			}
			return Outcome{Action: Postpone, Delay: math.MaxInt64}
		})
		require.NoError(t, err)
		old := time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
		require.NoError(t, m.Enqueue(t.Context(),
			Job{Event: revoked("e1", ""), Route: "held"}, Job{Event: revoked("e1", ""), Route: "retried"},
			Job{Event: revoked("e2", ""), Route: "retried", NotBefore: old}))
		<-time.After(24 * 365 * time.Hour)
		c, err := m.Count(t.Context(), "retried")
		require.NoError(t, err)
		assert.Equal(t, Counts{Later: 2}, c)
		stop(t, l)
		stop(t, r)
		assert.Equal(t, 1, asked)
		assert.Equal(t, 2, ran)
		assert.Equal(t, 1, atOnce, "a time 2,000 years ago is a time")
	})
}

// mustNotRun is a handler that must not run.
func mustNotRun(t *testing.T) Handler {
	return func(_ context.Context, j Job) Outcome {
		assert.Fail(t, "ran", j.ID())
		return Outcome{}
	}
}

// TestBurstOfDue: when very many jobs come due at once, they become ready in portions, so that the lane's lock is free in
// between, and all run at once all the same.
func TestBurstOfDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = 5*promotions + 7
		m := NewMemory(MemoryOptions{})
		m.Bound("a", Bound{Jobs: jobs})
		due := time.Now().Add(time.Hour)
		ran, portion := map[time.Duration]int{}, 0
		inner := m.lane("a")
		l, err := m.Open("a", LaneOptions{Limit: 1}, func(context.Context, Job) Outcome {
			ran[time.Since(due)]++
			inner.mu.Lock()
			portion = max(portion, inner.ready.n)
			inner.mu.Unlock()
			return Outcome{}
		})
		require.NoError(t, err)
		for i := range jobs {
			require.NoError(t, m.Enqueue(t.Context(), Job{Event: revoked(fmt.Sprint(i), ""), Route: "a", NotBefore: due}))
		}
		<-time.After(2 * time.Hour)
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		assert.Equal(t, map[time.Duration]int{0: jobs}, ran)
		assert.Equal(t, promotions-1, portion)
		stop(t, l)
	})
}

// TestClosedLaneCounts: nothing wakes a closed lane, and Count still tells due from later.
func TestClosedLaneCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		for i := range 3 * promotions {
			require.NoError(t, m.Enqueue(t.Context(),
				Job{Event: revoked(fmt.Sprint(i), ""), Route: "a", NotBefore: time.Now().Add(time.Duration(1+i%2) * time.Hour)}))
		}
		<-time.After(90 * time.Minute)
		c, err := m.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, Counts{Due: 1.5 * promotions, Later: 1.5 * promotions}, c)
	})
}

// TestIdleLanes: lanes without work cost neither goroutine nor runtime timer, with one delayed job each only the one
// timer of all.
func TestIdleLanes(t *testing.T) {
	const lanes = 10_000
	before := runtime.NumGoroutine()
	m := NewMemory(MemoryOptions{})
	open := make([]Lane, lanes)
	for i := range lanes {
		l, err := m.Open(fmt.Sprint(i), LaneOptions{Limit: 4}, mustNotRun(t))
		require.NoError(t, err)
		open[i] = l
	}
	assert.Nil(t, m.alarm.timer, "no lane has a time")
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5, "other tests' goroutines come and go")
	due := time.Now().Add(time.Hour)
	e := revoked("e", "")
	for i := range lanes {
		require.NoError(t, m.Enqueue(t.Context(), Job{Event: e, Route: fmt.Sprint(i), NotBefore: due}))
	}
	assert.NotNil(t, m.alarm.timer)
	assert.Len(t, m.alarm.lanes, lanes)
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	for _, l := range open {
		stop(t, l)
	}
	assert.Empty(t, m.alarm.lanes, "a stopped lane does not ring")
}

// TestMemoryGoesBack: a lane that was full keeps a bounded number of entries and a small heap.
func TestMemoryGoesBack(t *testing.T) {
	t.Parallel()
	const jobs = 50_000
	m := NewMemory(MemoryOptions{})
	m.Bound("a", Bound{Jobs: jobs})
	for i := range jobs {
		j := Job{Event: revoked(fmt.Sprint(i), ""), Route: "a"}
		if i%2 == 0 {
			j.NotBefore = time.Now().Add(time.Hour)
		}
		require.NoError(t, m.Enqueue(t.Context(), j))
	}
	n, err := m.Purge(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, jobs, n)
	l := m.lane("a")
	assert.Len(t, l.free, freeEntries)
	for _, e := range l.free {
		require.True(t, e.event.IsZero(), "a free entry holds no event")
	}
	assert.LessOrEqual(t, cap(l.later), smallHeap)
	assert.LessOrEqual(t, cap(l.free), 2*freeEntries)
}

// TestDefaults: the bounds that a zero value means.
func TestDefaults(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryOptions{})
	for i := range DefaultBacklog {
		require.NoError(t, m.Enqueue(t.Context(), Job{Event: revoked(fmt.Sprint(i), ""), Route: "a"}))
	}
	err := m.Enqueue(t.Context(), Job{Event: revoked("more", ""), Route: "a"}, Job{Event: revoked("more", ""), Route: "b"})
	var full *BacklogError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, []string{"a"}, full.Lanes)
	assert.Equal(t, 1, dues(t, m, "b"))
	m.Bound("a", Bound{DropOldest: true})
	require.NoError(t, m.Enqueue(t.Context(), Job{Event: revoked("more", ""), Route: "a"}))
	assert.Equal(t, DefaultBacklog, dues(t, m, "a"))
}

// TestDeadLetterRing: the latest dead letters are kept, the oldest goes first, and Seq goes on.
func TestDeadLetterRing(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 3} {
		m := NewMemory(MemoryOptions{DeadLetters: limit})
		kept := orDefault(limit, 1000)
		m.Bound("a", Bound{Jobs: 1, DropOldest: true})
		for i := range kept + 501 {
			require.NoError(t, m.Enqueue(t.Context(), Job{Event: revoked(fmt.Sprint(i), ""), Route: "a"}))
		}
		letters, err := m.DeadLetters(t.Context(), Selection{})
		require.NoError(t, err)
		require.Len(t, letters, kept)
		for i, l := range letters {
			require.Equal(t, int64(501+i), l.Seq)
			require.Equal(t, fmt.Sprint(500+i), l.Event.ID())
			require.Contains(t, l.Reason, "backlog was full")
		}
	}
}

// TestDropsAreTold: also when the same call finds another lane full, and to the Dropped of that moment, with no lock held.
func TestDropsAreTold(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryOptions{})
	var told []string
	m.Bound("drops", Bound{Jobs: 1, DropOldest: true, Dropped: func(j Job) {
		told = append(told, j.Event.ID())
		assert.NoError(t, m.Enqueue(t.Context(), Job{Event: j.Event, Route: "instead"}))
	}})
	m.Bound("full", Bound{Jobs: 1})
	for _, id := range []string{"e1", "e2", "e3"} {
		err := m.Enqueue(t.Context(), Job{Event: revoked(id, ""), Route: "full"}, Job{Event: revoked(id, ""), Route: "drops"})
		if id == "e1" {
			require.NoError(t, err)
		} else {
			require.ErrorAs(t, err, new(*BacklogError))
		}
	}
	assert.Equal(t, []string{"e1", "e2"}, told)
	assert.Equal(t, 2, dues(t, m, "instead"))
}
