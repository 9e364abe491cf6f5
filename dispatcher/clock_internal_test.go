package dispatcher

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// steppable is a machine whose wall clock is set now and then.
type steppable struct {
	clock   *clock
	elapsed time.Duration
	offset  time.Duration
}

func (s *steppable) wall() time.Duration { return s.elapsed + s.offset }

func (s *steppable) pass(d time.Duration) {
	s.elapsed += d
	s.clock.observe(s.elapsed, s.wall())
}

func (s *steppable) set(by time.Duration) {
	s.offset += by
	s.clock.observe(s.elapsed, s.wall())
}

func (s *steppable) age(stamp time.Duration) time.Duration {
	return s.clock.ageOf(stamp, s.elapsed, s.wall())
}

func TestAgeOfATimeTakenBeforeTheClockWasSet(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for name, step := range map[string]time.Duration{"five years behind": 5 * year, "an hour ahead": -time.Hour, "a suspended hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &steppable{clock: newClock(false)}
			s.pass(time.Minute)
			stamp := s.wall()
			s.pass(time.Minute)
			s.set(step)
			s.pass(time.Minute)
			assert.Equal(t, 2*time.Minute, s.age(stamp))
			assert.Equal(t, time.Duration(0), s.age(s.wall()))
		})
	}
}

// A queue that moves its times with the clock does so a moment after the step.
func TestAgeOfATimeThatMoves(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{-time.Hour, time.Hour, -time.Minute} {
		s := &steppable{clock: newClock(true)}
		s.pass(4 * time.Hour)
		stamp := s.wall()
		s.pass(time.Minute)
		s.set(step)
		s.pass(time.Minute)
		assert.LessOrEqual(t, s.age(stamp), 2*time.Minute, "%v, not moved yet", step)
		assert.Equal(t, 2*time.Minute, s.age(stamp+step), "%v", step)
	}
}

func TestAgeOfATimeFromBeforeTheProcess(t *testing.T) {
	t.Parallel()
	s := &steppable{clock: newClock(false)}
	s.pass(time.Minute)
	assert.Equal(t, 61*time.Minute, s.age(-time.Hour), "by the wall clock")
	assert.Equal(t, time.Duration(0), s.age(time.Hour), "one of the future is new")
}

// However often the clock is set: a time taken by this process is never thought to be older than it is, and as old as
// it is unless the wall clock showed it twice.
func TestAgesAreNotFooledBySteps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := &steppable{clock: newClock(false)}
		type taken struct{ stamp, at time.Duration }
		var all []taken
		forwardOnly := seed%2 == 0
		for range 100 {
			switch random.IntN(3) {
			case 0:
				step := time.Duration(random.Int64N(int64(100 * 24 * time.Hour)))
				if !forwardOnly && random.IntN(2) == 0 {
					step = -step
				}
				if len(s.clock.epochs) < maxClockEpochs {
					s.set(step)
				}
			case 1:
				s.pass(time.Duration(random.Int64N(int64(24 * time.Hour))))
			default:
				all = append(all, taken{s.wall(), s.elapsed})
			}
			for _, each := range all {
				truth := s.elapsed - each.at
				if got := s.age(each.stamp); got > truth || forwardOnly && got != truth {
					t.Fatalf("seed %d: age %v, in truth %v", seed, got, truth)
				}
			}
		}
	}
}

func TestClockRemembersNoMoreThanSomeSteps(t *testing.T) {
	t.Parallel()
	s := &steppable{clock: newClock(false)}
	for range 10 * maxClockEpochs {
		s.set(time.Hour)
		s.pass(time.Second)
	}
	assert.Len(t, s.clock.epochs, maxClockEpochs)
	assert.Equal(t, time.Duration(0), s.age(s.wall()))
}

func TestAgeWithAMonotonicPart(t *testing.T) {
	t.Parallel()
	c := newClock(false)
	now := c.now()
	assert.Equal(t, time.Hour, c.age(now.Add(-time.Hour), now))
	assert.Equal(t, time.Duration(0), c.age(now.Add(time.Hour), now))
	assert.Equal(t, time.Hour, c.age(now.Round(0).Add(-time.Hour), now))
}

// Between two readings of the wall clock the time goes on by the monotonic clock.
func TestTheWallClockIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock(false)
		for range 10 {
			first := *c.reading.Load()
			<-time.After(readAgain - 1)
			assert.Equal(t, time.Now(), c.now())
			assert.Equal(t, first, *c.reading.Load())
			<-time.After(1)
			assert.Equal(t, time.Now(), c.now())
			assert.Equal(t, time.Now(), *c.reading.Load())
		}
	})
}
