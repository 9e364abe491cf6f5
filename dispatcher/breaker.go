package dispatcher

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// breaker keeps a lane from starting attempts while its destination fails, and for as long as the receiver asked for no
// more requests (retry.Throttle). When the time is over one attempt goes through, the probe. Attempts report how they
// ended, and Admit asks before each start, so a wait costs no worker and works with any queue.
type breaker struct {
	active atomic.Bool // something below is set; otherwise nothing is looked at

	mu             sync.Mutex
	failing        map[deliveryKey]struct{} // deliveries that failed transiently, with no success in between
	pause          time.Duration            // while it is open; 0 = closed
	throttledUntil time.Time                // the receiver's wish; zero = it has none
	until          time.Time                // no attempt starts before, and then only the probe; zero = they may
	probe          time.Time                // when the probe that runs was let through; zero = none runs
}

// deliveryKey identifies a delivery within its lane.
type deliveryKey struct {
	event      string
	generation int64
}

// maxThrottle is the longest that a receiver's own word keeps a lane waiting. A probe an hour harms nobody, and a time
// in milliseconds or a date in the next century is not believed for longer.
const maxThrottle = time.Hour

// probeGrace is how long after its timeout a probe that never reports keeps a throttled lane waiting.
const probeGrace = DefaultBreakerPause

// wait is how long no attempt may start; 0 = one may, which the caller then reports to started.
func (b *breaker) wait() time.Duration {
	if !b.active.Load() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return 0
	}
	return max(time.Until(b.until), 0)
}

// started notes that an attempt starts. If it is the probe, no other starts before that could have ended, also if the
// queue never runs it.
func (b *breaker) started(timeout time.Duration) {
	if !b.active.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.until.IsZero() && !b.until.After(now) {
		grace := b.pause
		if grace == 0 {
			grace = probeGrace
		}
		b.probe = now
		b.until = now.Add(sum(max(timeout, 0), grace))
	}
}

// sum adds durations of 0 or more without overflowing.
func sum(a, b time.Duration) time.Duration { return a + min(b, math.MaxInt64-a) }

// succeeded takes a success of an attempt that began then. It closes the breaker. A receiver that asked for no more
// requests meanwhile is obeyed, unless this was the probe. It reports whether the breaker was open, and whether
// attempts had to wait.
func (b *breaker) succeeded(began time.Time) (closed, freed bool) {
	if !b.active.Load() {
		return false, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	closed, freed = b.pause > 0, !b.until.IsZero()
	throttled := b.throttledUntil.After(time.Now()) && !b.isProbe(began)
	b.failing, b.pause = nil, 0
	if throttled {
		b.until = b.throttledUntil
		return closed, freed
	}
	b.clearWait()
	b.active.Store(false)
	return closed, freed
}

func (b *breaker) clearWait() {
	b.throttledUntil, b.until, b.probe = time.Time{}, time.Time{}, time.Time{}
}

// failed takes a transient failure of an attempt of that delivery that began then, and how long the receiver asked for
// no more requests. It returns for how long this opens the breaker, 0 = it does not, and whether the lane has to ask
// anew how long to wait.
func (b *breaker) failed(p Breaker, key deliveryKey, began time.Time, throttle time.Duration) (pause time.Duration, changed bool) {
	if p.Failures <= 0 && throttle <= 0 && !b.active.Load() {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active.Store(true)
	probe := b.isProbe(began)
	pause = b.count(p, key, probe)
	now := time.Now()
	if probe {
		b.clearWait()
	}
	if pause > 0 {
		b.until, b.probe = now.Add(pause), time.Time{}
	}
	if throttle > 0 {
		b.throttledUntil = latest(b.throttledUntil, now.Add(throttle))
		b.until, b.probe = latest(b.until, b.throttledUntil), time.Time{}
	}
	return pause, probe || pause > 0 || throttle > 0
}

// count adds a failure to those of the breaker and returns the pause for which that opens it; 0 = it does not.
func (b *breaker) count(p Breaker, key deliveryKey, probe bool) time.Duration {
	switch {
	case p.Failures <= 0:
		return 0
	case b.pause == 0:
		if b.failing == nil {
			b.failing = map[deliveryKey]struct{}{}
		}
		b.failing[key] = struct{}{}
		if len(b.failing) < p.Failures {
			return 0
		}
		b.pause = p.Pause
	case !probe: // it was under way when the breaker opened
		return 0
	case b.pause > p.MaxPause/2:
		b.pause = p.MaxPause
	default:
		b.pause *= 2
	}
	return b.pause
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isProbe tells the probe from attempts that were under way when the wait began.
func (b *breaker) isProbe(began time.Time) bool { return !b.probe.IsZero() && !began.Before(b.probe) }

// inconclusive takes an attempt that says nothing about the destination. It reports whether that was the probe; the
// next attempt then is one.
func (b *breaker) inconclusive(began time.Time) bool {
	if !b.active.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isProbe(began) {
		return false
	}
	b.until, b.probe = time.Now(), time.Time{}
	return true
}

// follow obeys changed settings. With retry it lets a probe through at once: what was wrong may have been corrected.
func (b *breaker) follow(p Breaker, retry bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Failures <= 0 {
		b.failing, b.pause = nil, 0
		b.until, b.probe = b.throttledUntil, time.Time{}
	}
	if retry {
		waits := !b.until.IsZero() && (b.pause > 0 || !b.throttledUntil.IsZero())
		b.clearWait()
		if waits {
			b.until = time.Now()
		}
	}
	b.active.Store(!b.until.IsZero() || len(b.failing) > 0)
}

// times returns when the open breaker lets the next probe through, zero = it is closed, and until when the receiver
// asked for no more requests, zero = it did not, or that is over.
func (b *breaker) times() (openUntil, throttledUntil time.Time) {
	if !b.active.Load() {
		return time.Time{}, time.Time{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause > 0 {
		openUntil = b.until
	}
	if b.throttledUntil.After(time.Now()) {
		throttledUntil = b.throttledUntil
	}
	return openUntil, throttledUntil
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pause > 0
}
