package retry

import (
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Failure describes the attempt that just failed.
type Failure struct {
	Attempt int           // counted attempts made so far, this one included: 1 after the first
	Elapsed time.Duration // since the first attempt began
	Err     error         // what it ended with
}

// Policy decides whether and when to try again. Next returns the pause before the next attempt, or false when no
// attempt is to follow. It is a pure function: no state, no sleeping, no clock, safe for concurrent use.
type Policy interface {
	Next(f Failure) (delay time.Duration, ok bool)
}

// Exponential grows the pause by Multiplier from Initial up to Max, without an end of its own: bound it with [AtMost]
// or [Within]. The zero value is ready for use.
type Exponential struct {
	Initial    time.Duration // pause after the first attempt; 0 = 1 s
	Max        time.Duration // longest pause before jitter; 0 = 15 min
	Multiplier float64       // growth per attempt; below 1 = 2
	// Jitter spreads each pause evenly over pause·(1±Jitter), so that receivers are not hit by all senders at once.
	// 0 = 0.5; negative = none; at most 1. It uses the global random source.
	Jitter float64
}

var _ Bounded = Exponential{}

// longestPause bounds pauses, so that jitter of up to their own length does not overflow.
const longestPause = math.MaxInt64 / 4

// Next implements Policy; ok is always true.
func (e Exponential) Next(f Failure) (time.Duration, bool) {
	e = e.withDefaults()
	b := backoff.ExponentialBackOff{
		MaxInterval:         e.Max,
		Multiplier:          e.Multiplier,
		RandomizationFactor: e.Jitter,
		Clock:               backoff.SystemClock, // required by the library, read only for MaxElapsedTime, which is off
	}
	b.InitialInterval = positioned(e.Initial, e.Max, e.Multiplier, f.Attempt)
	b.Reset()
	return b.NextBackOff(), true
}

// Span implements Bounded: it has no end unless attempts are bounded.
func (e Exponential) Span(attempts int) (time.Duration, bool) {
	if attempts == Unlimited {
		return 0, false
	}
	e = e.withDefaults()
	var sum float64
	for attempt := 1; attempt < attempts; attempt++ {
		pause := positioned(e.Initial, e.Max, e.Multiplier, attempt)
		repeat := 1.0
		if pause >= e.Max || e.Multiplier == 1 { // so are all that follow
			repeat = float64(attempts - attempt)
			attempt = attempts
		}
		sum += repeat * float64(pause) * (1 + e.Jitter)
	}
	if sum >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return time.Duration(sum), true
}

// Deadline implements Bounded; there is none.
func (Exponential) Deadline() (time.Duration, bool) { return 0, false }

func (e Exponential) withDefaults() Exponential {
	e.Initial = orDefault(e.Initial, time.Second)
	e.Max = min(orDefault(e.Max, 15*time.Minute), longestPause)
	if !(e.Multiplier >= 1) { // also NaN
		e.Multiplier = 2
	}
	switch {
	case e.Jitter == 0:
		e.Jitter = backoff.DefaultRandomizationFactor
	case e.Jitter < 0:
		e.Jitter = 0
	case !(e.Jitter <= 1):
		e.Jitter = 1
	}
	return e
}

// positioned returns the interval the library would have reached after the given attempt, computed at once instead of
// stepping through all attempts before it.
func positioned(initial, limit time.Duration, multiplier float64, attempt int) time.Duration {
	interval := float64(initial) * math.Pow(multiplier, float64(max(attempt, 1)-1))
	if interval >= float64(limit) {
		return limit
	}
	return time.Duration(interval)
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Fixed tries again every Interval until For has passed since the first attempt: "retry interval" and "retry
// duration".
type Fixed struct {
	Interval time.Duration // 0 = at once
	For      time.Duration // no attempt begins later than this, as for [Within]; 0 = no end
}

var _ Bounded = Fixed{}

// Next implements Policy.
func (p Fixed) Next(f Failure) (time.Duration, bool) {
	d := max(p.Interval, 0)
	return d, p.For <= 0 || fits(d, f.Elapsed, p.For)
}

// Span implements Bounded.
func (p Fixed) Span(attempts int) (time.Duration, bool) {
	pauses := time.Duration(max(attempts-1, 0))
	interval := max(p.Interval, 0)
	switch {
	case p.For > 0 && (interval == 0 || pauses > p.For/interval):
		return p.For, true
	case attempts == Unlimited:
		return 0, false
	case interval > 0 && pauses > math.MaxInt64/interval:
		return math.MaxInt64, true
	}
	return pauses * interval, true
}

// Deadline implements Bounded.
func (p Fixed) Deadline() (time.Duration, bool) { return p.For, p.For > 0 }

// Schedule lists the pause before each attempt, the first included, in the form in which the Standard Webhooks
// specification gives one: Schedule{0, 5*time.Second, 5*time.Minute} is three attempts, the second 5 s after the first
// one failed. Whoever schedules does not wait for the first entry. Its length bounds the attempts.
type Schedule []time.Duration

var _ Bounded = Schedule{}

// Next implements Policy.
func (s Schedule) Next(f Failure) (time.Duration, bool) {
	next := max(f.Attempt, 1)
	if next >= len(s) {
		return 0, false
	}
	return max(s[next], 0), true
}

// Span implements Bounded.
func (s Schedule) Span(attempts int) (time.Duration, bool) {
	var sum time.Duration
	for _, pause := range s[min(1, len(s)):min(max(attempts, 0), len(s))] {
		sum += min(max(pause, 0), math.MaxInt64-sum)
	}
	return sum, true
}

// Deadline implements Bounded: a schedule ends after its last attempt, whenever that is.
func (Schedule) Deadline() (time.Duration, bool) { return 0, false }

// Never makes one attempt only.
type Never struct{}

var _ Bounded = Never{}

// Next implements Policy; ok is always false.
func (Never) Next(Failure) (time.Duration, bool) { return 0, false }

// Span implements Bounded.
func (Never) Span(int) (time.Duration, bool) { return 0, true }

// Deadline implements Bounded; there is none.
func (Never) Deadline() (time.Duration, bool) { return 0, false }
