package retry

import "time"

type atMost struct {
	attempts int
	policy   Policy
}

// AtMost bounds p by the number of attempts, the first included: "up to 3 retries" is AtMost(4, p). Below 1 counts
// as 1.
func AtMost(attempts int, p Policy) Policy { return atMost{attempts: attempts, policy: p} }

func (b atMost) Next(f Failure) (time.Duration, bool) {
	if f.Attempt >= b.attempts {
		return 0, false
	}
	return b.policy.Next(f)
}

type within struct {
	elapsed time.Duration
	policy  Policy
}

// Within bounds p by time: no attempt begins later than elapsed after the first one began.
func Within(elapsed time.Duration, p Policy) Policy { return within{elapsed: elapsed, policy: p} }

func (b within) Next(f Failure) (time.Duration, bool) {
	d, ok := b.policy.Next(f)
	if !ok || f.Elapsed+d > b.elapsed {
		return 0, false
	}
	return d, true
}
