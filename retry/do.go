package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Do calls f until it succeeds, fails for good, p gives up or ctx is done, sleeping in between. It returns nil or the
// last attempt's error with its mark; when ctx ended the loop, that error joined with ctx's. A postponed attempt is
// made again after its delay without being counted. f gets ctx as it is: set a timeout per attempt in f.
func Do(ctx context.Context, p Policy, f func(ctx context.Context) error) error {
	schedule := &loop{ctx: ctx, policy: p, began: time.Now()}
	var last error
	// The schedule reads the verdict, because the library knows only its own PermanentError.
	err := backoff.RetryNotify(func() error {
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
	began   time.Time
	attempt int
	failed  error
}

func (l *loop) Reset() {}

func (l *loop) NextBackOff() time.Duration {
	result := Classify(l.ctx, l.failed)
	switch result.Verdict {
	case Postponed:
		if l.ctx.Err() != nil {
			return backoff.Stop
		}
		return result.Delay
	case Transient:
		l.attempt++
		d, ok := l.policy.Next(Failure{Attempt: l.attempt, Elapsed: time.Since(l.began), Err: l.failed})
		if !ok {
			return backoff.Stop
		}
		return max(d, result.Delay)
	default:
		return backoff.Stop
	}
}
