package dispatcher

import (
	"sync"
	"time"
)

// Rate limits how often a route's attempts start: Events per Per, retries included. The zero value is no limit. The pace is
// kept in memory: after a restart it begins as after a quiet time.
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
	full time.Time // when the next attempt would be due if all ran at the exact rate
}

// admit returns 0 and takes a turn, or how long until the next one.
func (p *pacer) admit(r Rate) time.Duration {
	interval := r.interval()
	if interval <= 0 {
		return 0
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	early := time.Duration(max(r.Burst, 1)-1) * interval
	if wait := p.full.Add(-early).Sub(now); wait > 0 {
		return wait
	}
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(interval)
	return 0
}
