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

var _ Policy = Exponential{}

// Next implements Policy; ok is always true.
func (e Exponential) Next(f Failure) (time.Duration, bool) {
	b := backoff.ExponentialBackOff{
		MaxInterval:         orDefault(e.Max, 15*time.Minute),
		Multiplier:          e.Multiplier,
		RandomizationFactor: e.Jitter,
		Clock:               backoff.SystemClock, // required by the library, read only for MaxElapsedTime, which is off
	}
	if !(b.Multiplier >= 1) { // also NaN
		b.Multiplier = 2
	}
	switch {
	case b.RandomizationFactor == 0:
		b.RandomizationFactor = backoff.DefaultRandomizationFactor
	case b.RandomizationFactor < 0:
		b.RandomizationFactor = 0
	case !(b.RandomizationFactor <= 1):
		b.RandomizationFactor = 1
	}
	b.InitialInterval = positioned(orDefault(e.Initial, time.Second), b.MaxInterval, b.Multiplier, f.Attempt)
	b.Reset()
	return b.NextBackOff(), true
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

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Fixed tries again every Interval until For has passed since the first attempt: "retry interval" and "retry
// duration".
type Fixed struct {
	Interval time.Duration // 0 = at once
	For      time.Duration // no attempt begins later than this; 0 = no end
}

var _ Policy = Fixed{}

// Next implements Policy.
func (p Fixed) Next(f Failure) (time.Duration, bool) {
	d := max(p.Interval, 0)
	return d, p.For <= 0 || f.Elapsed+d <= p.For
}

// Schedule lists the pause before each attempt, the first included, in the form in which the Standard Webhooks
// specification gives one: Schedule{0, 5*time.Second, 5*time.Minute} is three attempts, the second 5 s after the first
// one failed. Whoever schedules does not wait for the first entry. Its length bounds the attempts.
type Schedule []time.Duration

var _ Policy = Schedule{}

// Next implements Policy.
func (s Schedule) Next(f Failure) (time.Duration, bool) {
	next := max(f.Attempt, 1)
	if next >= len(s) {
		return 0, false
	}
	return max(s[next], 0), true
}

// Never makes one attempt only.
type Never struct{}

var _ Policy = Never{}

// Next implements Policy; ok is always false.
func (Never) Next(Failure) (time.Duration, bool) { return 0, false }
