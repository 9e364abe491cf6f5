package dispatcher

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker is the state of a lane's circuit breaker. It is told how attempts end, and asked before each by Admit, so a
// pause costs no worker and works with any queue.
type breaker struct {
	troubled atomic.Bool // streak or pause is not 0; otherwise nothing below is looked at

	mu     sync.Mutex
	streak int           // transient failures in a row
	pause  time.Duration // 0 = closed
	until  time.Time     // while open: no attempt starts before
	probe  time.Time     // when the probe that runs was let through; zero = none runs
}

// wait is how long no attempt may start; 0 = go on, which the caller then announces with begin.
func (k *breaker) wait() time.Duration {
	if !k.troubled.Load() {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause == 0 {
		return 0
	}
	return max(time.Until(k.until), 0)
}

// begin is told that an attempt starts. If it is the probe, no other starts before that could have ended, also if the
// queue never runs it.
func (k *breaker) begin(timeout time.Duration) {
	if !k.troubled.Load() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.pause > 0 && !k.until.After(now) {
		k.probe = now
		k.until = now.Add(max(timeout, 0) + k.pause)
	}
}

// succeeded closes it and reports whether it was open.
func (k *breaker) succeeded() bool {
	if !k.troubled.Load() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	wasOpen := k.pause > 0
	k.streak, k.pause, k.until, k.probe = 0, 0, time.Time{}, time.Time{}
	k.troubled.Store(false)
	return wasOpen
}

// failed is told of a transient failure of an attempt that began then. It returns the pause that this opens it for; 0 =
// it changes nothing.
func (k *breaker) failed(p Breaker, began time.Time) time.Duration {
	if p.Failures <= 0 {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.troubled.Store(true)
	k.streak++
	switch {
	case k.pause == 0 && k.streak < p.Failures:
		return 0
	case k.pause == 0:
		k.pause = p.Pause
	case !k.isProbe(began):
		return 0
	case k.pause > p.MaxPause/2:
		k.pause = p.MaxPause
	default:
		k.pause *= 2
	}
	k.until, k.probe = time.Now().Add(k.pause), time.Time{}
	return k.pause
}

// isProbe tells the probe from attempts that were under way when the breaker opened.
func (k *breaker) isProbe(began time.Time) bool { return !k.probe.IsZero() && !began.Before(k.probe) }

// untried is told of an attempt that says nothing about the destination. It reports whether that was the probe; the next
// attempt then is one.
func (k *breaker) untried(began time.Time) bool {
	if !k.troubled.Load() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause == 0 || !k.isProbe(began) {
		return false
	}
	k.until, k.probe = time.Now(), time.Time{}
	return true
}

// change is told of new routes, which may have mended what was wrong.
func (k *breaker) change(p Breaker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.Failures <= 0 {
		k.streak, k.pause = 0, 0
		k.troubled.Store(false)
	}
	k.until, k.probe = time.Now(), time.Time{}
}

// openUntil returns when the next probe may start; zero = it is closed.
func (k *breaker) openUntil() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause == 0 {
		return time.Time{}
	}
	return k.until
}
