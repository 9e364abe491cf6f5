package dispatcher

import (
	"math/bits"
	"sync"
	"time"
)

// Rate limits how often a route's attempts start: Events per Per, retries included. The zero value is no limit. The
// pace is kept in memory: after a restart it begins as after a quiet time.
type Rate struct {
	Events int
	Per    time.Duration // 0 = 1 s
	Burst  int           // attempts that may start at once after a quiet time; 0 = 1
}

func (r Rate) interval() time.Duration {
	if r.Events <= 0 {
		return 0
	}
	per := r.Per
	if per <= 0 {
		per = time.Second
	}
	return per / time.Duration(r.Events)
}

// pacer spaces attempts by the generic cell rate algorithm (ITU-T I.371): one time says it all, and it outlives a
// change of the rate.
type pacer struct {
	mu   sync.Mutex
	base time.Time // where its times count from; zero = no attempt was asked for yet
	full time.Time // when the next attempt would be due if all ran at the exact rate
}

// admit returns 0 and takes a turn, or how long until the next one.
func (p *pacer) admit(r Rate) time.Duration { return p.turn(r, true) }

// wait is how long until the next turn.
func (p *pacer) wait(r Rate) time.Duration { return p.turn(r, false) }

func (p *pacer) turn(r Rate, take bool) time.Duration {
	interval := r.interval()
	if interval <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base.IsZero() {
		p.base = time.Now()
	}
	// Times are what the monotonic clock shows, written as wall clock times: unlike durations they do not end after 292
	// years, which a large burst at a slow rate exceeds.
	now := p.base.Round(0).Add(time.Since(p.base))
	if wait := p.full.Sub(ahead(now, interval, max(r.Burst, 1)-1)); wait > 0 {
		return wait
	}
	if !take {
		return 0
	}
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(interval)
	return 0
}

// ahead returns the time n intervals after t, or, rather than overflow, 36 billion years after.
func ahead(t time.Time, interval time.Duration, n int) time.Time {
	const limit = 1 << 60 // seconds
	hi, lo := bits.Mul64(uint64(interval), uint64(n))
	if hi >= uint64(time.Second) {
		return time.Unix(t.Unix()+limit, 0)
	}
	s, ns := bits.Div64(hi, lo, uint64(time.Second))
	return time.Unix(t.Unix()+int64(min(s, limit)), int64(t.Nanosecond())+int64(ns))
}
