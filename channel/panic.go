package channel

import (
	"context"
	"fmt"
	"runtime"
	"strings"
)

// PanicError is the error of a Send that panicked; the attempt counts as a transient failure. Its text names the place
// and the kind of the value, never the value itself, which may hold payload.
type PanicError struct {
	Kind  string // the runtime error's text, or the type of the value
	Where string // function and line that panicked
}

func (e *PanicError) Error() string { return "channel panicked: " + e.Kind + " at " + e.Where }

// Recover is a Middleware that turns a panic in next into a *PanicError. A dispatcher applies it to every route.
func Recover(next Channel) Channel { return &recovering{next} }

type recovering struct{ next Channel }

func (r *recovering) Send(ctx context.Context, d Delivery) (receipt Receipt, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Kind: panicKind(v), Where: panicSite()}
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
