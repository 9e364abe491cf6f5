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
	full := e.withDefaults()
	b := backoff.ExponentialBackOff{
		InitialInterval:     full.pause(f.Attempt),
		MaxInterval:         full.Max,
		Multiplier:          full.Multiplier,
		RandomizationFactor: full.Jitter,
		Clock:               backoff.SystemClock, // required by the library, read only for MaxElapsedTime, which is off
	}
	b.Reset()
	return b.NextBackOff(), true
}

// Span implements Bounded: it has no end unless attempts are bounded.
func (e Exponential) Span(attempts int) (time.Duration, bool) {
	if attempts == Unlimited {
		return 0, false
	}
	full := e.withDefaults()
	var total float64
	for attempt := 1; attempt < attempts; attempt++ {
		pause, times := full.pause(attempt), 1
		if pause >= full.Max || full.Multiplier == 1 { // so are all that follow
			times = attempts - attempt
			attempt = attempts
		}
		total += float64(times) * float64(pause) * (1 + full.Jitter)
	}
	if total >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return time.Duration(total), true
}

// Deadline implements Bounded; there is none.
func (Exponential) Deadline() (time.Duration, bool) { return 0, false }

func (e Exponential) withDefaults() Exponential {
	full := Exponential{
		Initial:    orDefault(e.Initial, time.Second),
		Max:        min(orDefault(e.Max, 15*time.Minute), longestPause),
		Multiplier: e.Multiplier,
		Jitter:     e.Jitter,
	}
	if !(full.Multiplier >= 1) { // also NaN
		full.Multiplier = 2
	}
	switch {
	case full.Jitter == 0:
		full.Jitter = backoff.DefaultRandomizationFactor
	case full.Jitter < 0:
		full.Jitter = 0
	case !(full.Jitter <= 1):
		full.Jitter = 1
	}
	return full
}

// pause returns the pause after the given attempt, without jitter, computed at once instead of stepping through all
// attempts before it.
func (e Exponential) pause(attempt int) time.Duration {
	interval := float64(e.Initial) * math.Pow(e.Multiplier, float64(max(attempt, 1)-1))
	if interval >= float64(e.Max) {
		return e.Max
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
	pauses, interval := int64(max(attempts-1, 0)), int64(max(p.Interval, 0))
	switch {
	case p.For > 0 && (interval == 0 || pauses > int64(p.For)/interval):
		return p.For, true
	case attempts == Unlimited:
		return 0, false
	case interval > 0 && pauses > math.MaxInt64/interval:
		return math.MaxInt64, true
	}
	return time.Duration(pauses * interval), true
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
