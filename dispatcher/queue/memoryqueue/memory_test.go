package memoryqueue

import (
	"context"
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leastPause is the least time between two wake-ups of a lane.
const leastPause = time.Millisecond

func stop(t *testing.T, l queue.Lane) {
	t.Helper()
	require.NoError(t, l.Stop(t.Context()))
}

// TestExactTimes: in a bubble time passes only while all wait, so what the queue adds to a time is seen to the
// nanosecond.
func TestExactTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		began := time.Now()
		at := map[string][]time.Duration{}
		hold := 5 * time.Second
		l, err := m.Open("a", queue.LaneOptions{Limit: 1, Admit: func() time.Duration {
			defer func() { hold = 0 }()
			return hold
		}}, func(_ context.Context, j queue.Job) queue.Disposition {
			at[j.Event.ID()] = append(at[j.Event.ID()], time.Since(began))
			switch {
			case j.Event.ID() != "e3":
				return queue.Disposition{}
			case j.Attempt == 0:
				return queue.Disposition{Action: queue.Retry, Delay: 1500 * time.Millisecond}
			case j.Attempt == 1:
				hold = 2 * time.Second // the third attempt waits for Admit, not for its delay
				return queue.Disposition{Action: queue.Retry, Delay: time.Millisecond}
			}
			return queue.Disposition{}
		})
		require.NoError(t, err)
		require.NoError(t, m.Enqueue(t.Context(),
			queue.Job{Event: revoked("e1", ""), Lane: "a"},
			queue.Job{Event: revoked("e2", ""), Lane: "a", NotBefore: began.Add(time.Hour)},
			queue.Job{Event: revoked("e3", ""), Lane: "a", NotBefore: began.Add(time.Minute)},
			queue.Job{Event: revoked("e4", ""), Lane: "a", NotBefore: began.Add(time.Minute - 1)}))
		<-time.After(2 * time.Hour)
		stop(t, l)
		assert.Equal(t, map[string][]time.Duration{
			"e1": {5 * time.Second},
			"e2": {time.Hour},
			// A lane wakes up at most once a millisecond, and did for e4 a nanosecond before.
			"e3": {
				time.Minute + leastPause - 1, time.Minute + leastPause - 1 + 1500*time.Millisecond,
				time.Minute + leastPause - 1 + 1500*time.Millisecond + time.Millisecond + 2*time.Second,
			},
			"e4": {time.Minute - 1},
		}, at)
	})
}

// TestForever: the greatest delays there are do not wrap round to the past, nor the least ones to the future.
func TestForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		var asked, ran, atOnce int
		l, err := m.Open("held", queue.LaneOptions{Limit: 1, Admit: func() time.Duration { asked++; return math.MaxInt64 }}, mustNotRun(t))
		require.NoError(t, err)
		r, err := m.Open("retried", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
			ran++
			if j.NotBefore.IsZero() {
				atOnce++
				return queue.Disposition{Action: queue.Retry, Delay: math.MaxInt64}
			}
			return queue.Disposition{Action: queue.Postpone, Delay: math.MaxInt64}
		})
		require.NoError(t, err)
		old := time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
		require.NoError(t, m.Enqueue(t.Context(),
			queue.Job{Event: revoked("e1", ""), Lane: "held"}, queue.Job{Event: revoked("e1", ""), Lane: "retried"},
			queue.Job{Event: revoked("e2", ""), Lane: "retried", NotBefore: old}))
		<-time.After(24 * 30 * time.Hour)
		c, err := m.Count(t.Context(), "retried")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Later: 2}, c)
		stop(t, l)
		stop(t, r)
		assert.Equal(t, 1, asked)
		assert.Equal(t, 2, ran)
		assert.Equal(t, 1, atOnce, "a time 2,000 years ago is a time")
	})
}

// mustNotRun is a handler that must not run.
func mustNotRun(t *testing.T) queue.Handler {
	return func(_ context.Context, j queue.Job) queue.Disposition {
		assert.Fail(t, "ran", j.ID())
		return queue.Disposition{}
	}
}

// TestBurstOfDue: when very many jobs come due at once, all run at once.
func TestBurstOfDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = 5_127
		m := New(Options{})
		m.Bound("a", queue.Bound{Jobs: jobs})
		due := time.Now().Add(time.Hour)
		ran := map[time.Duration]int{}
		l, err := m.Open("a", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition {
			ran[time.Since(due)]++
			return queue.Disposition{}
		})
		require.NoError(t, err)
		for i := range jobs {
			require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: "a", NotBefore: due}))
		}
		<-time.After(2 * time.Hour)
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		assert.Equal(t, map[time.Duration]int{0: jobs}, ran)
		stop(t, l)
	})
}

// TestClosedLaneCounts: nothing wakes a closed lane, and Count still tells due from later.
func TestClosedLaneCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		const jobs = 3_000
		for i := range jobs {
			require.NoError(t, m.Enqueue(t.Context(),
				queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: "a", NotBefore: time.Now().Add(time.Duration(1+i%2) * time.Hour)}))
		}
		<-time.After(90 * time.Minute)
		c, err := m.Count(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, queue.Counts{Due: jobs / 2, Later: jobs / 2}, c)
	})
}

// TestIdleLanes: lanes cost no goroutine, whether they hold nothing or a job each that is due later.
func TestIdleLanes(t *testing.T) {
	const lanes = 10_000
	before := runtime.NumGoroutine()
	m := New(Options{})
	open := make([]queue.Lane, lanes)
	for i := range lanes {
		l, err := m.Open(fmt.Sprint(i), queue.LaneOptions{Limit: 4}, mustNotRun(t))
		require.NoError(t, err)
		open[i] = l
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5, "other tests' goroutines come and go")
	due := time.Now().Add(time.Hour)
	e := revoked("e", "")
	for i := range lanes {
		require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: e, Lane: fmt.Sprint(i), NotBefore: due}))
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	for _, l := range open {
		stop(t, l)
	}
}

// TestMemoryGoesBack: what was full and is empty again holds next to nothing, lanes that nobody uses included.
func TestMemoryGoesBack(t *testing.T) {
	const jobs, lanes = 50_000, 20_000
	m := New(Options{IDWindow: 16})
	m.Bound("a", queue.Bound{Jobs: jobs})
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	for i := range jobs {
		j := queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: "a"}
		if i%2 == 0 {
			j.NotBefore = time.Now().Add(time.Hour)
		}
		require.NoError(t, m.Enqueue(t.Context(), j))
	}
	n, err := m.Purge(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, jobs, n)
	for i := range lanes {
		name := fmt.Sprint("lane ", i)
		require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: name}))
		_, err := m.Purge(t.Context(), name)
		require.NoError(t, err)
	}
	assert.Less(t, heap()-before, int64(1<<20))
	names, err := m.Lanes(t.Context())
	require.NoError(t, err)
	assert.Empty(t, names)
	runtime.KeepAlive(m)
}

// TestDefaults: the bounds that a zero value means.
func TestDefaults(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	for i := range queue.DefaultBacklog {
		require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: "a"}))
	}
	err := m.Enqueue(t.Context(), queue.Job{Event: revoked("more", ""), Lane: "a"}, queue.Job{Event: revoked("more", ""), Lane: "b"})
	var full *queue.BacklogError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, []string{"a"}, full.Lanes)
	assert.Equal(t, 1, dues(t, m, "b"))
	m.Bound("a", queue.Bound{DropOldest: true})
	require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("more", ""), Lane: "a"}))
	assert.Equal(t, queue.DefaultBacklog, dues(t, m, "a"))
}

// TestDeadLetterRing: the latest dead letters are kept, the oldest goes first, and Seq goes on.
func TestDeadLetterRing(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 3} {
		m := New(Options{})
		kept := limit
		if limit == 0 {
			kept = queue.DefaultDeadLetters
		}
		m.Bound("a", queue.Bound{Jobs: 1, DropOldest: true, DeadLetters: limit})
		for i := range kept + 501 {
			require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked(fmt.Sprint(i), ""), Lane: "a"}))
		}
		letters, err := m.DeadLetters(t.Context(), queue.Selection{})
		require.NoError(t, err)
		require.Len(t, letters, kept)
		for i, l := range letters {
			require.Equal(t, int64(501+i), l.Seq)
			require.Equal(t, fmt.Sprint(500+i), l.Event.ID())
			require.Contains(t, l.Reason, "backlog was full")
		}
	}
}

// TestDropsAreTold: also when the same call finds another lane full, and to the Dropped of that moment, with no lock
// held.
func TestDropsAreTold(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	var notified []string
	m.Bound("drops", queue.Bound{Jobs: 1, DropOldest: true, Dropped: func(j queue.Job) {
		notified = append(notified, j.Event.ID())
		assert.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: j.Event, Lane: "instead"}))
	}})
	m.Bound("full", queue.Bound{Jobs: 1})
	for _, id := range []string{"e1", "e2", "e3"} {
		err := m.Enqueue(t.Context(), queue.Job{Event: revoked(id, ""), Lane: "full"}, queue.Job{Event: revoked(id, ""), Lane: "drops"})
		if id == "e1" {
			require.NoError(t, err)
		} else {
			require.ErrorAs(t, err, new(*queue.BacklogError))
		}
	}
	assert.Equal(t, []string{"e1", "e2"}, notified)
	assert.Equal(t, 2, dues(t, m, "instead"))
}

// Room that comes up in the middle of a call is not for the jobs behind a refused one: they would overtake it.
func TestRefusesWhatIsBehindARefusedJob(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	asked := 0
	m.Bound("a", queue.Bound{Jobs: 1, DropOldest: true, Keep: func(event.Event) bool {
		asked++
		return asked == 1 // there is room to make for the second of the call
	}})
	require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("e1", ""), Lane: "a"}))
	behind := []queue.Job{
		{Event: revoked("e2", ""), Lane: "a"}, {Event: revoked("e3", ""), Lane: "a"}, {Event: revoked("e3", ""), Lane: "b"},
	}
	var full *queue.BacklogError
	require.ErrorAs(t, m.Enqueue(t.Context(), behind...), &full)
	assert.Equal(t, []string{"a"}, full.Lanes)
	for _, lane := range []string{"a", "b"} {
		counts, err := m.Count(t.Context(), lane)
		require.NoError(t, err)
		assert.Equal(t, 1, counts.Due, lane)
	}
	letters, err := m.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Empty(t, letters, "e1 was not dropped for what is behind e2")
}
