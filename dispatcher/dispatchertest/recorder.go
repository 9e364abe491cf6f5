// Package dispatchertest lets a product test what it dispatches, without an Engine and without a network.
//
//	rec := new(dispatchertest.Recorder)
//	service := NewService(rec)
//	service.Revoke(ctx, "grant-7", "left the team")
//	revoked := dispatchertest.Require[event.GrantRevoked](t, rec)
//	// compare the fields of revoked with what the service received
package dispatchertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Recorder is a Dispatcher that keeps what it is given. The zero value is ready for use; safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	events  []event.Event
	errs    []error
	changed chan struct{} // closed at the next event; nil = nobody waits
}

var _ dispatcher.Dispatcher = (*Recorder)(nil)

// Dispatch keeps the events, unless an error was set by Fail, ctx is done, or one of them is the zero Event.
func (r *Recorder) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) > 0 {
		err := r.errs[0]
		r.errs = r.errs[1:]
		if err != nil {
			return err
		}
	}
	for i, e := range events {
		if e.IsZero() {
			return &dispatcher.EventError{Index: i, Err: fmt.Errorf("it is the zero Event: make events with event.New")}
		}
	}
	r.events = append(r.events, events...)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return nil
}

// Fail makes the next calls of Dispatch return these errors, one each, and keep nothing; a nil lets one call pass.
func (r *Recorder) Fail(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, errs...)
}

// Events returns what was dispatched so far, in order.
func (r *Recorder) Events() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Reset forgets all events and errors.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.errs = nil, nil
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

// TB is the part of testing.TB that the assertions use.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Require returns the payload of the only event of type T, and ends the test when there is none or more than one.
func Require[T event.Payload](t TB, r *Recorder) T {
	t.Helper()
	all := All[T](t, r)
	if len(all) != 1 {
		var zero T
		t.Fatalf("dispatched %d events of type %s, want exactly one; dispatched: %s", len(all), zero.EventType(), r.list())
		return zero
	}
	return all[0]
}

// RequireNone ends the test when an event of type T was dispatched.
func RequireNone[T event.Payload](t TB, r *Recorder) {
	t.Helper()
	if n := len(All[T](t, r)); n > 0 {
		var zero T
		t.Fatalf("dispatched %d events of type %s, want none; dispatched: %s", n, zero.EventType(), r.list())
	}
}

// All returns the payloads of every event of type T, in order.
func All[T event.Payload](t TB, r *Recorder) []T {
	t.Helper()
	var zero T
	var all []T
	for _, e := range r.Events() {
		if e.Type() != zero.EventType() {
			continue
		}
		p, err := event.Decode[T](e)
		if err != nil {
			t.Fatalf("event %s does not decode as its own type: %v", e, err)
			return nil
		}
		all = append(all, p)
	}
	return all
}

// list names what was dispatched, by type and id only.
func (r *Recorder) list() string {
	var names []string
	for _, e := range r.Events() {
		names = append(names, e.String())
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
