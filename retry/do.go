package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Do calls f until it succeeds, fails for good, p gives up or ctx is done, sleeping in between. It returns nil or the
// last attempt's error with its mark; when ctx ended the loop, that error joined with ctx's. A postponed attempt is
// made again after its delay without being counted. No attempt begins after p's [Deadline]; a pause that an error asks
// for is cut to fit ([Result.Pause]). f gets ctx as it is: set a timeout per attempt in f.
func Do(ctx context.Context, p Policy, f func(ctx context.Context) error) error {
	schedule := &loop{ctx: ctx, policy: p}
	schedule.limit, schedule.limited = Deadline(p)
	var last error
	// The schedule reads the verdict, because the library knows only its own PermanentError.
	err := backoff.RetryNotify(func() error {
		if schedule.attempt > 0 && schedule.limited && time.Since(schedule.began) > schedule.limit {
			schedule.over = true
			return last
		}
		if schedule.attempt == 0 {
			schedule.began = time.Now() // a postponed attempt was none
		}
		last = f(ctx)
		schedule.failed = last
		return last
	}, backoff.WithContext(schedule, ctx), nil)
	if err != nil && ctx.Err() != nil && !errors.Is(last, ctx.Err()) {
		return errors.Join(last, ctx.Err())
	}
	return last
}

// loop turns a pure policy into the stateful BackOff the library's loop asks for; one per call of Do.
type loop struct {
	ctx     context.Context
	policy  Policy
	began   time.Time // of the first attempt that counts, or of one that may
	attempt int       // counted ones made so far
	failed  error
	limit   time.Duration // of the policy, if limited
	limited bool
	over    bool // the policy's time was over when an attempt was to begin
}

func (l *loop) Reset() {}

// remaining is how long another attempt may still begin; negative = without end.
func (l *loop) remaining() time.Duration {
	if !l.limited {
		return -1
	}
	return max(l.limit-time.Since(l.began), 0)
}

// timer is about how late a timer may be on a busy machine.
const timer = 10 * time.Millisecond

func (l *loop) NextBackOff() time.Duration {
	if l.over {
		return backoff.Stop
	}
	result := Classify(l.ctx, l.failed)
	switch result.Verdict {
	case VerdictPostponed:
		if l.ctx.Err() != nil {
			return backoff.Stop
		}
		if l.attempt == 0 {
			return result.Delay
		}
		return result.Pause(0, l.remaining(), timer)
	case VerdictTransient:
		l.attempt++
		d, ok := l.policy.Next(Failure{Attempt: l.attempt, Elapsed: time.Since(l.began), Err: l.failed})
		if !ok {
			return backoff.Stop
		}
		return result.Pause(d, l.remaining(), timer)
	default:
		return backoff.Stop
	}
}
