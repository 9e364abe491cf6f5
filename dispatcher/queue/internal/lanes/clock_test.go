package lanes

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// machine is a clock that can be set and put to sleep. Time passes as in the bubble it is used in.
type machine struct {
	began time.Time
	mu    sync.Mutex
	set   time.Duration // how far the wall clock was set
	slept time.Duration // how long nothing elapsed
}

func (m *machine) read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	passed := time.Since(m.began)
	return Reading{Wall: m.began.Add(passed + m.set).UnixNano(), Elapsed: int64(passed - m.slept)}
}

func (m *machine) setBy(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set += d
}

// wall is what the wall clock shows.
func (m *machine) wall() time.Time { return time.Unix(0, m.read().Wall) }

func job(id string) queue.Job {
	return queue.Job{Event: event.Must(event.GrantRevoked{}, event.Meta{ID: id, Subject: "grant"}), Lane: "a"}
}

// TestClockSteps: whatever the wall clock does, a retry comes after its pause or seconds after the step, never an hour
// later, and a reminder comes when the wall clock shows its time, or seconds after that.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	const delay, reminder = 20 * time.Second, 10 * time.Minute
	for name, step := range map[string]time.Duration{
		"none": 0, "an hour back": -time.Hour, "an hour on": time.Hour, "five years on": 5 * 365 * 24 * time.Hour,
		"a week back": -7 * 24 * time.Hour, "a little on": time.Minute, "a little back": -time.Minute,
		"less than counts": -time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &machine{began: time.Now()}
				s := New(m.read, Hooks{})
				retried, reminded, second := make(chan time.Time, 1), make(chan time.Time, 1), make(chan time.Time, 1)
				l, err := s.Open("a", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
					switch {
					case j.Event.ID() == "reminder":
						reminded <- time.Now()
					case j.Event.ID() == "second":
						second <- time.Now()
					case j.Attempt == 0:
						return queue.Disposition{Action: queue.Retry, Delay: delay, Began: time.Now()}
					default:
						retried <- time.Now()
					}
					return queue.Disposition{}
				})
				require.NoError(t, err)
				r := job("reminder")
				r.NotBefore = m.wall().Add(reminder).Round(0)
				require.NoError(t, s.Schedule("key", &r))
				require.True(t, s.Lane("a").Add(new(job("retry")), nil, nil))
				<-time.After(time.Second)
				m.setBy(step)
				// A reminder that is scheduled after the step, before it was noticed, keeps its time as well.
				r = job("second")
				r.NotBefore = m.wall().Add(2 * reminder).Round(0)
				require.NoError(t, s.Schedule("second", &r))
				stepped := time.Now()

				at := <-retried
				assert.LessOrEqual(t, at.Sub(m.began), delay+leastPause, "the retry is late")
				if step <= 0 {
					assert.GreaterOrEqual(t, at.Sub(m.began), delay, "the retry is early")
				}
				want := m.began.Add(reminder - step)
				at = <-reminded
				assert.False(t, at.Before(want) && at.Before(stepped), "the reminder is early")
				latest := want
				if stepped.After(latest) {
					latest = stepped
				}
				assert.LessOrEqual(t, at.Sub(latest), watchEvery+time.Second+leastPause, "the reminder is late")
				if step < 0 {
					assert.GreaterOrEqual(t, at.Sub(want), -leastPause-time.Duration(leastStep), "the reminder is early")
				}
				at = <-second
				assert.WithinDuration(t, stepped.Add(2*reminder), at, watchEvery+leastPause)
				require.NoError(t, l.Stop(t.Context()))
			})
		})
	}
}

// TestSleep: a machine that sleeps wakes up with all that came due meanwhile, within seconds.
func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now()}
		s := New(m.read, Hooks{})
		ran := make(chan time.Time, 1)
		l, err := s.Open("a", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
			if j.Attempt == 0 {
				return queue.Disposition{Action: queue.Retry, Delay: time.Hour, Began: time.Now()}
			}
			ran <- time.Now()
			return queue.Disposition{}
		})
		require.NoError(t, err)
		require.True(t, s.Lane("a").Add(new(job("e")), nil, nil))
		<-time.After(time.Minute)
		// Asleep for two hours: nothing elapsed, as the bubble sees it no time passed either.
		m.setBy(2 * time.Hour)
		woke := time.Now()
		assert.LessOrEqual(t, (<-ran).Sub(woke), watchEvery+leastPause)
		require.NoError(t, l.Stop(t.Context()))
	})
}

// TestClockNeverGoesBack: for any steps of the wall clock, now grows, a pause is over at the latest when that much has
// elapsed, and a time of the wall clock is exact.
func TestClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 7))
		r := Reading{Wall: rng.Int64N(1 << 62)}
		c := newClock(func() Reading { return r })
		before := c.now()
		for range 200 {
			passed := rng.Int64N(int64(time.Hour))
			r.Elapsed += passed
			r.Wall += passed
			if rng.IntN(3) == 0 {
				r.Wall += rng.Int64N(int64(48*time.Hour)) - int64(24*time.Hour)
			}
			pause := c.after(time.Duration(passed))
			now := c.now()
			require.GreaterOrEqual(t, now, before+passed)
			require.LessOrEqual(t, pause, now+passed)
			at := time.Unix(0, r.Wall).Add(time.Minute)
			require.Equal(t, at.UnixNano(), c.wall(c.at(at.UnixNano())).UnixNano())
			require.InDelta(t, now+int64(time.Minute), c.at(at.UnixNano()), float64(leastStep))
			before = now
		}
	}
	c := newClock(System())
	assert.Equal(t, int64(math.MaxInt64), c.after(math.MaxInt64))
	assert.Less(t, c.at(unixNano(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC))), c.now(), "long ago")
	assert.Greater(t, c.at(unixNano(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))), c.now(), "far off")
}

// TestUrgentGoesFirst: also when its attempt failed, and before those that wait behind Admit. Order keys are kept.
func TestUrgentGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(System(), Hooks{})
		var order []string
		pace := time.Second
		l, err := s.Open("a", queue.LaneOptions{Limit: 1, Admit: func() time.Duration { pace = time.Second - pace; return pace }},
			func(_ context.Context, j queue.Job) queue.Disposition {
				order = append(order, j.Event.ID())
				if j.Event.ID() == "urgent" && j.Attempt == 0 {
					assert.True(t, j.Urgent)
					return queue.Disposition{Action: queue.Retry, Delay: 1500 * time.Millisecond, Began: time.Now()}
				}
				return queue.Disposition{}
			})
		require.NoError(t, err)
		for _, id := range []string{"1", "2", "3", "4", "5"} {
			require.True(t, s.Lane("a").Add(new(job(id)), nil, nil))
		}
		urgent, keyed := job("urgent"), job("keyed")
		urgent.Urgent, keyed.Urgent, keyed.OrderKey = true, true, "k"
		require.True(t, s.Lane("a").Add(&keyed, nil, nil))
		require.True(t, s.Lane("a").Add(&urgent, nil, nil))
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		require.NoError(t, l.Stop(t.Context()))
		assert.Equal(t, []string{"urgent", "1", "urgent", "2", "3", "4", "5", "keyed"}, order)
	})
}

// TestDrainUntil: Drain waits for what is due before its time and for nothing that is due after it.
func TestDrainUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(System(), Hooks{})
		ran := 0
		l, err := s.Open("a", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition {
			ran++
			return queue.Disposition{}
		})
		require.NoError(t, err)
		began := time.Now()
		for i, in := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
			j := job(string(rune('1' + i)))
			j.NotBefore = began.Add(in)
			require.True(t, s.Lane("a").Add(&j, nil, nil))
		}
		require.NoError(t, l.Drain(t.Context(), time.Time{}))
		assert.Equal(t, 0, ran)
		require.NoError(t, l.Drain(t.Context(), began.Add(30*time.Second)))
		assert.Equal(t, 2, ran)
		assert.Equal(t, 10*time.Second, time.Since(began))
		require.NoError(t, l.Stop(t.Context()))
	})
}
