package retry

import "time"

// Bounded is implemented by policies that know their own end, as all of this package do. A dispatcher asks it to make
// sure that nothing else ends the attempts before the policy does, and that the policy's end is kept.
type Bounded interface {
	Policy
	// Span returns how long after the first attempt the last of the first n attempts begins at the latest, if attempts
	// take no time and no error asks for a longer pause. false = there is no such time, or the policy does not know it.
	Span(attempts int) (time.Duration, bool)
	// Deadline returns how long after the first attempt began another one may begin at all, whatever delays it. false =
	// the policy sets no such limit.
	Deadline() (time.Duration, bool)
}

// Unlimited is the number of attempts for [Bounded].Span that stands for all of them.
const Unlimited = int(^uint(0) >> 1)

// Span returns how long after the first attempt the last attempt of p begins at the latest; see [Bounded]. false = p
// has no end, or does not know it.
func Span(p Policy) (time.Duration, bool) { return spanOf(p, Unlimited) }

// Deadline returns how long after the first attempt began another one may begin; see [Bounded]. false = p sets no such
// limit.
func Deadline(p Policy) (time.Duration, bool) {
	if b, ok := p.(Bounded); ok {
		return b.Deadline()
	}
	return 0, false
}

func spanOf(p Policy, attempts int) (time.Duration, bool) {
	if attempts <= 1 {
		return 0, true
	}
	if b, ok := p.(Bounded); ok {
		return b.Span(attempts)
	}
	return 0, false
}

type atMost struct {
	attempts int
	policy   Policy
}

// AtMost bounds p by the number of attempts, the first included: "up to 3 retries" is AtMost(4, p). Below 1 counts
// as 1.
func AtMost(attempts int, p Policy) Policy { return atMost{attempts: attempts, policy: p} }

var _ Bounded = atMost{}

func (b atMost) Next(f Failure) (time.Duration, bool) {
	if f.Attempt >= b.attempts {
		return 0, false
	}
	return b.policy.Next(f)
}

func (b atMost) Span(attempts int) (time.Duration, bool) {
	return spanOf(b.policy, min(attempts, b.attempts))
}

func (b atMost) Deadline() (time.Duration, bool) { return Deadline(b.policy) }

type within struct {
	elapsed time.Duration
	policy  Policy
}

// Within bounds p by time: no attempt begins later than elapsed after the first one began. Whoever makes the attempts,
// such as [Do] or a dispatcher, looks again before each: one that was delayed past this time is not made.
func Within(elapsed time.Duration, p Policy) Policy {
	return within{elapsed: max(elapsed, 0), policy: p}
}

var _ Bounded = within{}

func (b within) Next(f Failure) (time.Duration, bool) {
	d, ok := b.policy.Next(f)
	if !ok || !fits(d, f.Elapsed, b.elapsed) {
		return 0, false
	}
	return d, true
}

func (b within) Span(attempts int) (time.Duration, bool) {
	if d, ok := spanOf(b.policy, attempts); ok {
		return min(d, b.elapsed), true
	}
	return b.elapsed, true
}

func (b within) Deadline() (time.Duration, bool) {
	if d, ok := Deadline(b.policy); ok {
		return min(d, b.elapsed), true
	}
	return b.elapsed, true
}

// fits reports whether an attempt after a pause of d begins no later than limit. It does not add, because d may be as
// long as a duration can be.
func fits(d, elapsed, limit time.Duration) bool { return max(d, 0) <= limit-max(elapsed, 0) }

// maxMargin is the most that [Result.Pause] leaves between a pause that was cut and the end.
const maxMargin = 5 * time.Minute

// Pause returns how long to wait before the next attempt: the policy's pause, or the longer one that the result asks
// for. No pause that is asked for costs the delivery: it is cut so that an attempt still begins before what
// remains is over, by a tenth of that time, at least precision, at most 5 minutes. The policy's own pause is not cut. A
// negative remaining is no end.
func (r Result) Pause(policy, remaining, precision time.Duration) time.Duration {
	policy = max(policy, 0)
	if r.Delay <= policy || remaining < 0 {
		return max(r.Delay, policy)
	}
	margin := min(max(remaining/10, precision), maxMargin)
	return max(policy, min(r.Delay, remaining-margin))
}
