package dispatcher

import (
	"sync"
	"sync/atomic"
	"time"
)

// clock tells how old a time is that was taken from the wall clock of this process and has been through a queue that
// does not keep its monotonic part. The wall clock can be set meanwhile, or have been wrong: ages by it alone would
// end deliveries too early, or after years. So it notes each step of the wall clock it sees. Times from before the
// process began, or from another machine, have no better measure than the wall clock.
type clock struct {
	base    time.Time                  // with its monotonic part
	wall    int64                      // base in Unix nanoseconds
	moved   bool                       // the queue's times may have moved with the wall clock; see queue.Properties
	reading atomic.Pointer[time.Time]  // a recent one, with its monotonic part
	current atomic.Pointer[clockEpoch] // the latest one

	mu     sync.Mutex
	epochs []clockEpoch // the oldest first, the latest last
}

// clockEpoch is a time in which the wall clock was not set.
type clockEpoch struct {
	began  time.Duration // since base, on the monotonic clock
	offset time.Duration // of the wall clock from base and that
}

const (
	clockStep      = time.Second // a smaller difference is no step
	maxClockEpochs = 64
)

func newClock(moved bool) *clock {
	now := time.Now()
	c := &clock{base: now, wall: now.UnixNano(), moved: moved, epochs: make([]clockEpoch, 1)}
	c.reading.Store(&now)
	c.current.Store(&clockEpoch{})
	return c
}

// readAgain is how long after a reading of the wall clock the monotonic clock, which is read in a fraction of the time,
// says what it shows. So a wall clock that is set is noticed that much later.
const readAgain = time.Millisecond

// now returns the time, having noted whether the wall clock was set.
func (c *clock) now() time.Time {
	reading := c.reading.Load()
	if since := time.Since(*reading); since < readAgain {
		return reading.Add(since)
	}
	now := time.Now()
	c.observe(now.Sub(c.base), time.Duration(now.UnixNano()-c.wall))
	c.reading.Store(&now)
	return now
}

// observe takes how much time has passed on either clock since base.
func (c *clock) observe(elapsed, wall time.Duration) {
	if d := wall - elapsed - c.current.Load().offset; d > -clockStep && d < clockStep {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := clockEpoch{began: elapsed, offset: wall - elapsed}
	if len(c.epochs) == maxClockEpochs {
		c.epochs = append(c.epochs[:0], c.epochs[1:]...)
	}
	c.epochs = append(c.epochs, next)
	c.current.Store(&next)
}

// age returns how long before now, which has a monotonic part, t was; never negative.
func (c *clock) age(t, now time.Time) time.Duration {
	if t != t.Round(0) { // it has a monotonic part, too
		return max(now.Sub(t), 0)
	}
	return c.ageOf(t.Sub(c.base.Round(0)), now.Sub(c.base), now.Round(0).Sub(c.base.Round(0)))
}

// ageOf is age with a time and now as what the clocks show since base. A time that the wall clock showed more than once
// counts as the latest of them.
func (c *clock) ageOf(t, elapsed, wall time.Duration) time.Duration {
	byWall := wall - t
	if c.moved && byWall >= 0 {
		// Until a moment after a step it has not moved yet: then the lesser age is right, too.
		return min(byWall, c.ageOfUnmoved(t, elapsed, wall))
	}
	return c.ageOfUnmoved(t, elapsed, wall)
}

func (c *clock) ageOfUnmoved(t, elapsed, wall time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	until := elapsed
	for i := len(c.epochs) - 1; i >= 0; i-- {
		e := c.epochs[i]
		if at := t - e.offset; at >= e.began && at <= until {
			return elapsed - at
		}
		until = e.began
	}
	return max(wall-t, 0)
}
