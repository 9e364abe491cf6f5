package dispatchertest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Recorder is a Dispatcher and a Scheduler that keeps what it is given. It reports the mistakes that an Engine reports,
// with the same errors. It has no clock: DispatchDue says what time it is. The zero value is ready for use; safe for
// concurrent use. It must not be copied after first use.
type Recorder struct {
	mu        sync.Mutex
	events    []event.Event
	scheduled []Scheduled // in the order of the calls
	cancelled []Scheduled
	errs      []error
	shutdown  bool
	changed   chan struct{} // closed at the next event; nil = nobody waits
}

var (
	_ dispatcher.Dispatcher = (*Recorder)(nil)
	_ dispatcher.Scheduler  = (*Recorder)(nil)
)

// Dispatch keeps the events. It keeps none of them if one is the zero Event (*dispatcher.EventError), after Shutdown
// (dispatcher.ErrShutdown), if an error was set by Fail, or if ctx is done.
func (r *Recorder) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := dispatcher.ValidateEvents(events...); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(ctx); err != nil {
		return err
	}
	r.add(events...)
	return nil
}

// admit returns why a call that adds something fails. r.mu is held.
func (r *Recorder) admit(ctx context.Context) error {
	if r.shutdown {
		return dispatcher.ErrShutdown
	}
	return r.next(ctx)
}

// next returns the error of the next call. r.mu is held.
func (r *Recorder) next(ctx context.Context) error {
	if len(r.errs) > 0 {
		err := r.errs[0]
		r.errs = r.errs[1:]
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// add appends dispatched events. r.mu is held.
func (r *Recorder) add(events ...event.Event) {
	r.events = append(r.events, events...)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Fail makes the next calls of Dispatch, Schedule and Cancel return these errors, one each in the order of the calls,
// and change nothing; a nil lets one call pass.
func (r *Recorder) Fail(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, errs...)
}

// Shutdown makes Dispatch and Schedule return dispatcher.ErrShutdown from now on, as an Engine does, and DispatchDue do
// nothing. It returns nil; ctx is not used.
func (r *Recorder) Shutdown(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shutdown = true
	return nil
}

// Events returns what was dispatched so far, in order: by Dispatch, and by DispatchDue what was scheduled.
func (r *Recorder) Events() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Reset forgets everything: events, the schedule, errors and a Shutdown.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.scheduled, r.cancelled, r.errs, r.shutdown = nil, nil, nil, nil, false
}

// Wait returns once n events were dispatched, for products that dispatch from another goroutine; ctx's error, with the
// count, if that does not happen in time.
func (r *Recorder) Wait(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		have := len(r.events)
		if have >= n {
			r.mu.Unlock()
			return nil
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events dispatched: %w", have, n, ctx.Err())
		}
	}
}
