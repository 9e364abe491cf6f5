package dispatcher

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// hold keeps a lane from starting attempts: while its circuit breaker is open, and for as long as the receiver asked
// for quiet (retry.Throttle). When the time is over one attempt goes through, the probe. Attempts report how they
// ended, and Admit asks before each start, so a hold costs no worker and works with any queue.
type hold struct {
	active atomic.Bool // something below is set; otherwise nothing is looked at

	mu      sync.Mutex
	failing map[attemptKey]struct{} // deliveries that failed transiently, with no success in between
	pause   time.Duration           // of the open breaker; 0 = closed
	quiet   time.Time               // until when the receiver asked for quiet; zero = it did not
	until   time.Time               // no attempt starts before, and then only the probe; zero = free
	probe   time.Time               // when the probe that runs was let through; zero = none runs
}

// attemptKey identifies a delivery within its lane.
type attemptKey struct {
	event      string
	generation int64
}

// maxQuiet is the longest that a receiver's own word holds a lane. A probe an hour harms nobody, and a time in
// milliseconds or a date in the next century is not believed for longer.
const maxQuiet = time.Hour

// probeGrace is how long after its timeout a probe that is never heard of again keeps a lane that only a receiver's
// word holds.
const probeGrace = DefaultBreakerPause

// wait is how long no attempt may start; 0 = go on, which the caller then announces with begin.
func (k *hold) wait() time.Duration {
	if !k.active.Load() {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.until.IsZero() {
		return 0
	}
	return max(time.Until(k.until), 0)
}

// begin marks the start of an attempt. If it is the probe, no other starts before that could have ended, also if the
// queue never runs it.
func (k *hold) begin(timeout time.Duration) {
	if !k.active.Load() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if !k.until.IsZero() && !k.until.After(now) {
		grace := k.pause
		if grace == 0 {
			grace = probeGrace
		}
		k.probe = now
		k.until = now.Add(sum(max(timeout, 0), grace))
	}
}

// sum adds durations of 0 or more without overflowing.
func sum(a, b time.Duration) time.Duration { return a + min(b, math.MaxInt64-a) }

// succeeded takes a success of an attempt that began then. It closes the breaker. A receiver that asked for quiet
// meanwhile keeps it, unless this was the probe. It reports whether something changed for attempts that wait.
func (k *hold) succeeded(began time.Time) (closed, freed bool) {
	if !k.active.Load() {
		return false, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	closed = k.pause > 0
	freed = !k.until.IsZero()
	keeps := k.quiet.After(time.Now()) && !k.isProbe(began)
	k.failing, k.pause = nil, 0
	if keeps {
		k.until = k.quiet
		return closed, freed
	}
	k.free()
	k.active.Store(false)
	return closed, freed
}

func (k *hold) free() { k.quiet, k.until, k.probe = time.Time{}, time.Time{}, time.Time{} }

// failed takes a transient failure of an attempt of that delivery that began then, and how long the receiver asked for
// quiet. It returns for how long this opens the breaker, 0 = it does not, and whether the lane is held, or free, anew.
func (k *hold) failed(p Breaker, key attemptKey, began time.Time, quiet time.Duration) (pause time.Duration, changed bool) {
	if p.Failures <= 0 && quiet <= 0 && !k.active.Load() {
		return 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active.Store(true)
	probe := k.isProbe(began)
	pause = k.count(p, key, probe)
	now := time.Now()
	if probe {
		k.free()
	}
	if pause > 0 {
		k.until, k.probe = now.Add(pause), time.Time{}
	}
	if quiet > 0 {
		k.quiet = latest(k.quiet, now.Add(quiet))
		k.until, k.probe = latest(k.until, k.quiet), time.Time{}
	}
	return pause, probe || pause > 0 || quiet > 0
}

// count adds a failure to those of the breaker and returns the pause for which that opens it; 0 = it does not.
func (k *hold) count(p Breaker, key attemptKey, probe bool) time.Duration {
	switch {
	case p.Failures <= 0:
		return 0
	case k.pause == 0:
		if k.failing == nil {
			k.failing = map[attemptKey]struct{}{}
		}
		k.failing[key] = struct{}{}
		if len(k.failing) < p.Failures {
			return 0
		}
		k.pause = p.Pause
	case !probe: // it was under way when the breaker opened
		return 0
	case k.pause > p.MaxPause/2:
		k.pause = p.MaxPause
	default:
		k.pause *= 2
	}
	return k.pause
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isProbe tells the probe from attempts that were under way when the hold began.
func (k *hold) isProbe(began time.Time) bool { return !k.probe.IsZero() && !began.Before(k.probe) }

// untried takes an attempt that says nothing about the destination. It reports whether that was the probe; the next
// attempt then is one.
func (k *hold) untried(began time.Time) bool {
	if !k.active.Load() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.isProbe(began) {
		return false
	}
	k.until, k.probe = time.Now(), time.Time{}
	return true
}

// retry lets a probe through at once: new routes may have corrected what was wrong.
func (k *hold) retry(p Breaker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.Failures <= 0 {
		k.failing, k.pause = nil, 0
	}
	held := !k.until.IsZero() && (k.pause > 0 || !k.quiet.IsZero())
	k.free()
	if held {
		k.until = time.Now()
	}
	k.active.Store(held || len(k.failing) > 0)
}

// openUntil returns when the breaker lets the next probe through; zero = it is closed.
func (k *hold) openUntil() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause == 0 {
		return time.Time{}
	}
	return k.until
}

// quietUntil returns until when the receiver asked for quiet; zero = it did not, or that is over.
func (k *hold) quietUntil() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.quiet.After(time.Now()) {
		return k.quiet
	}
	return time.Time{}
}
