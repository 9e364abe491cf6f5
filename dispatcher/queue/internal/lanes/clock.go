package lanes

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Reading is what a clock shows: the wall clock as Unix nanoseconds, and the nanoseconds that have passed since some
// moment, which nobody can set but which may stand still while the machine sleeps.
type Reading struct{ Wall, Elapsed int64 }

// System returns the reading of this machine's clock. Its moment is the call of System.
func System() func() Reading {
	base := time.Now()
	return func() Reading {
		now := time.Now()
		return Reading{Wall: now.UnixNano(), Elapsed: int64(now.Sub(base))}
	}
}

const (
	// leastStep is the difference between wall clock and elapsed time that counts as a step.
	leastStep = int64(500 * time.Millisecond)
	// watchEvery is how soon a step is noticed.
	watchEvery = time.Second
)

// clock counts nanoseconds that never go back: what has elapsed, and every forward step of the wall clock, because a
// machine that slept looks the same. So a pause is never longer than it was meant, whoever sets the clock. What has a
// wall clock time moves when the clock is set back.
type clock struct {
	read func() Reading
	base time.Time // read's moment as a time, for times that are to keep their monotonic part

	forward atomic.Int64 // sum of forward steps
	back    atomic.Int64 // sum of backward steps
	skew    atomic.Int64 // wall - elapsed since the last step

	mu    sync.Mutex   // guards a step
	steps atomic.Int64 // how many there were
}

func newClock(read func() Reading) *clock {
	c := &clock{read: read, base: time.Now()}
	r := read()
	c.base = c.base.Add(-time.Duration(r.Elapsed))
	c.skew.Store(r.Wall - r.Elapsed)
	return c
}

// observe reads the clock and notices steps.
func (c *clock) observe() Reading {
	r := c.read()
	if step := r.Wall - r.Elapsed - c.skew.Load(); step >= leastStep || step <= -leastStep {
		c.step(r)
	}
	return r
}

func (c *clock) now() int64 { return c.observe().Elapsed + c.forward.Load() }

func (c *clock) step(r Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	step := r.Wall - r.Elapsed - c.skew.Load()
	switch {
	case step >= leastStep:
		c.forward.Add(step)
	case step <= -leastStep:
		c.back.Add(-step)
	default:
		return // somebody else has noticed
	}
	c.skew.Add(step)
	c.steps.Add(1)
}

// after is d from now. The greatest duration, which means never, does not wrap round.
func (c *clock) after(d time.Duration) int64 { return add(c.now(), int64(d)) }

// at is when the wall clock will show that many Unix nanoseconds.
func (c *clock) at(wall int64) int64 {
	c.now()
	return add(wall, c.forward.Load()-c.skew.Load())
}

// wall is what the wall clock will show at that moment.
func (c *clock) wall(at int64) time.Time {
	return time.Unix(0, add(at, c.skew.Load()-c.forward.Load()))
}

// unset is the stamp of a zero time.
const unset = math.MinInt64

// stamp keeps a time in 8 bytes, with its monotonic part if it has one.
func (c *clock) stamp(t time.Time) int64 {
	if t.IsZero() {
		return unset
	}
	return max(int64(t.Sub(c.base)), unset+1)
}

func (c *clock) time(stamp int64) time.Time {
	if stamp == unset {
		return time.Time{}
	}
	return c.base.Add(time.Duration(stamp))
}

// unixNano clips what nanoseconds cannot say (before 1678, after 2262) instead of wrapping round.
func unixNano(t time.Time) int64 {
	switch year := t.Year(); {
	case year < 1678:
		return unset + 1
	case year > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < unset+1-b:
		return unset + 1
	}
	return a + b
}
