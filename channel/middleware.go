package channel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/retry"
)

// Middleware wraps a Channel. Each call returns a new value that keeps Send's contract.
type Middleware func(next Channel) Channel

// Chain wraps c; the first middleware is the outermost. Without middleware it returns c.
func Chain(c Channel, mw ...Middleware) Channel {
	for _, m := range slices.Backward(mw) {
		c = m(c)
	}
	return c
}

// ErrThrottled is the error of a delivery that was not tried, because the destination has asked for a pause
// (retry.Throttle) and the policy or the context did not leave time to wait for the end of that.
var ErrThrottled = errors.New("the destination asks for a pause")

// WithRetry makes attempts as p says, sleeping in between in the caller's goroutine, and returns the last one's receipt
// and error. While the destination asks for a pause (retry.Throttle), the attempts of other deliveries wait as well. It
// is for channels used without a dispatcher, which reschedules in its queue instead.
func WithRetry(p retry.Policy) Middleware {
	return func(next Channel) Channel {
		var throttled atomic.Pointer[time.Time] // until when; nil = not yet
		return Func(func(ctx context.Context, d Delivery) (Receipt, error) {
			var receipt Receipt
			err := retry.Do(ctx, p, func(ctx context.Context) error {
				if until := throttled.Load(); until != nil && time.Now().Before(*until) {
					return retry.Postpone(ErrThrottled, time.Until(*until))
				}
				var err error
				receipt, err = next.Send(ctx, d)
				result := retry.Classify(ctx, err)
				if result.Verdict != retry.VerdictPostponed {
					d.Attempt++
				}
				if result.Throttled {
					until := time.Now().Add(result.Delay)
					throttled.Store(&until)
				}
				return err
			})
			return receipt, err
		})
	}
}

// PanicError is the error of a Send that panicked; the attempt counts as a transient failure. Its text names the place
// and the kind of the value, never the value itself, which may hold payload.
type PanicError struct {
	Kind  string // the runtime error's text, or the type of the value
	Where string // function and line that panicked
}

func (e *PanicError) Error() string { return "channel panicked: " + e.Kind + " at " + e.Where }

// NewPanicError describes a panic whose value is v. The deferred function that recovers it calls this.
func NewPanicError(v any) *PanicError {
	return &PanicError{Kind: panicKind(v), Where: panicSite()}
}

// Recover is a Middleware that turns a panic in next into a *PanicError, as a dispatcher does for every route.
func Recover(next Channel) Channel { return &recovering{next} }

type recovering struct{ next Channel }

func (r *recovering) Send(ctx context.Context, d Delivery) (receipt Receipt, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = NewPanicError(v)
		}
	}()
	return r.next.Send(ctx, d)
}

func panicKind(v any) string {
	if e, ok := v.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", v)
}

// panicSite finds the frame below the runtime's panic machinery; called from the deferred function.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	panicked := false
	for {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			panicked = true
		} else if panicked && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "unknown place"
		}
	}
}
