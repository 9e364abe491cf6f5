package retry

import (
	"context"
	"errors"
	"time"
)

// timerPrecision is about how late a timer may be on a busy machine.
const timerPrecision = 10 * time.Millisecond

// Do calls f until it succeeds, fails permanently, p allows no other attempt or ctx is done, and sleeps in between. It
// returns nil or the last attempt's error with its mark; when ctx ended the loop, that error joined with ctx's. A
// postponed attempt is made again after its delay without being counted. No attempt begins after p's [Deadline]; a
// pause that an error asks for is cut to fit ([Result.Pause]). f gets ctx as it is: set a timeout per attempt in f.
func Do(ctx context.Context, p Policy, f func(ctx context.Context) error) error {
	err := do(ctx, p, f)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return errors.Join(err, ctx.Err())
	}
	return err
}

func do(ctx context.Context, p Policy, f func(ctx context.Context) error) error {
	limit, limited := Deadline(p)
	var began time.Time // of the first attempt that counts, or of one that may
	attempt := 0        // counted ones made so far
	for {
		if attempt == 0 {
			began = time.Now()
		}
		err := f(ctx)
		result := Classify(ctx, err)
		pause := result.Delay
		switch result.Verdict {
		case VerdictTransient:
			attempt++
			var again bool
			if pause, again = p.Next(Failure{Attempt: attempt, Elapsed: time.Since(began), Err: err}); !again {
				return err
			}
		case VerdictPostponed:
			if attempt > 0 {
				pause = 0
			}
		default:
			return err
		}
		if attempt > 0 {
			remaining := time.Duration(-1)
			if limited {
				remaining = max(limit-time.Since(began), 0)
			}
			pause = result.Pause(pause, remaining, timerPrecision)
		}
		if !sleep(ctx, pause) || attempt > 0 && limited && time.Since(began) > limit {
			return err
		}
	}
}

// sleep reports whether d has passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
