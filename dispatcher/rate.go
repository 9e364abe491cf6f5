package dispatcher

import (
	"sync"
	"time"
)

// Rate limits how often a route's attempts start: Events per Per, retries included. The zero value is no limit. The
// pace is kept in memory: after a restart it begins as after an idle time.
type Rate struct {
	Events int
	Per    time.Duration // 0 = 1 s
	Burst  int           // attempts that may start at once after an idle time; 0 = 1
}

// interval is the time from one attempt to the next, of a Rate that has Events.
func (r Rate) interval() time.Duration {
	if r.Per <= 0 {
		return time.Second / time.Duration(r.Events)
	}
	return r.Per / time.Duration(r.Events)
}

// tokenBucket spaces attempts: it holds up to Burst tokens, gains one each interval, and an attempt takes one. It
// outlives a change of the rate.
type tokenBucket struct {
	mu     sync.Mutex
	tokens int
	next   time.Time // when the next token is gained, unless it is full; zero = nothing was taken yet
}

// take takes a token and returns 0, or returns how long until there is one.
func (b *tokenBucket) take(r Rate) time.Duration {
	if r.Events <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	interval, burst, now := r.interval(), max(r.Burst, 1), time.Now()
	if wait := b.fill(interval, burst, now); wait > 0 {
		return wait
	}
	if b.tokens == burst {
		b.next = now.Add(interval)
	}
	b.tokens--
	return 0
}

// wait is how long until there is a token.
func (b *tokenBucket) wait(r Rate) time.Duration {
	if r.Events <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fill(r.interval(), max(r.Burst, 1), time.Now())
}

// fill adds the tokens gained meanwhile and returns how long until there is one.
func (b *tokenBucket) fill(interval time.Duration, burst int, now time.Time) time.Duration {
	if late := now.Sub(b.next); late >= 0 {
		gained := 1 + int64(late/interval)
		if b.next.IsZero() || gained >= int64(burst)-int64(b.tokens) {
			b.tokens = burst
		} else {
			b.tokens, b.next = b.tokens+int(gained), b.next.Add(time.Duration(gained)*interval)
		}
	}
	b.tokens = min(b.tokens, burst)
	if b.tokens > 0 {
		return 0
	}
	return b.next.Sub(now)
}
