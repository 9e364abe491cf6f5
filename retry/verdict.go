package retry

import (
	"context"
	"errors"
	"time"
)

// Verdict is what an attempt's error means for the next attempt.
type Verdict uint8

const (
	// VerdictSuccess is the verdict of a nil error.
	VerdictSuccess Verdict = iota
	// VerdictTransient errors are worth another attempt, when the policy allows one.
	VerdictTransient
	// VerdictPermanent errors will not go away by trying again.
	VerdictPermanent
	// VerdictPostponed means that nothing was tried. Such an attempt is not counted.
	VerdictPostponed
)

// String returns the verdict in lower case.
func (v Verdict) String() string {
	switch v {
	case VerdictSuccess:
		return "success"
	case VerdictTransient:
		return "transient"
	case VerdictPermanent:
		return "permanent"
	case VerdictPostponed:
		return "postponed"
	}
	return "unknown"
}

// Result is the outcome of [Classify].
type Result struct {
	Verdict Verdict
	// Delay is the earliest time from now at which a next attempt makes sense: the least pause after a transient error,
	// the requested pause after a postponed one. Never negative; 0 = none was requested.
	Delay time.Duration
	// Throttled says that Delay is about the destination as a whole, not about this delivery: nothing else should be
	// sent there before it is over.
	Throttled bool
}

// marked carries a verdict through errors.As. It prints as the error it marks.
type marked struct {
	err    error
	result Result
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

func mark(err error, r Result) error {
	if err == nil {
		return nil
	}
	r.Delay = max(r.Delay, 0)
	return &marked{err: err, result: r}
}

// Permanent marks err as one that another attempt cannot change: a rejected payload. The error prints and unwraps as
// err. Permanent(nil) is nil.
func Permanent(err error) error { return mark(err, Result{Verdict: VerdictPermanent}) }

// Delay marks err as transient with the receiver's request: not sooner than d from now (Retry-After, RFC 9110
// section 10.2.3). The policy's own pause counts when it is longer. No pause costs the delivery: it is cut so that an
// attempt fits before its end ([Result.Pause]). A negative d counts as 0. Delay(nil, d) is nil.
func Delay(err error, d time.Duration) error {
	return mark(err, Result{Verdict: VerdictTransient, Delay: d})
}

// Throttle marks err as transient with a limit of the destination's own: it asks for no request at all before d has
// passed (429 Too Many Requests, 503 with Retry-After, a provider's rate limit). A dispatcher holds the whole route for
// d and then lets one delivery through to see. A d of 0 names no time: the policy's pause counts. It is cut as for
// [Delay]. Throttle(nil, d) is nil.
func Throttle(err error, d time.Duration) error {
	return mark(err, Result{Verdict: VerdictTransient, Delay: d, Throttled: true})
}

// Postpone marks err as "nothing was tried": the attempt is not counted and should be made d from now, for example
// because another worker is sending the same thing. A negative d counts as 0. It is cut as for [Delay]. Postpone(nil,
// d) is nil.
func Postpone(err error, d time.Duration) error {
	return mark(err, Result{Verdict: VerdictPostponed, Delay: d})
}

// Classify returns the verdict on err, the outcome of an attempt made on behalf of ctx, the caller's context (not one
// with the attempt's own timeout). The outermost mark in the error chain counts. When ctx is done the verdict is
// VerdictPostponed for any error that is not permanent, because a shutdown is not a failed attempt.
func Classify(ctx context.Context, err error) Result {
	if err == nil {
		return Result{}
	}
	result := Result{Verdict: VerdictTransient}
	if m, ok := errors.AsType[*marked](err); ok {
		result = m.result
	}
	if result.Verdict == VerdictTransient && ctx.Err() != nil {
		result.Verdict = VerdictPostponed
	}
	return result
}
