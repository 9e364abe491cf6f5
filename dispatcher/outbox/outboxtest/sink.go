package outboxtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// sink is a Dispatcher and Scheduler that keeps what it is given, in words.
type sink struct {
	mu      sync.Mutex
	calls   []string // "e1", "schedule k e1 <time>", "cancel k"
	events  map[string]event.Event
	sizes   []int // of the calls of Dispatch that were taken
	refuse  func(ctx context.Context, e event.Event) error
	changed chan struct{}
}

func newSink() *sink { return &sink{events: map[string]event.Event{}, changed: make(chan struct{})} }

// refusing sets what is refused; nil = nothing.
func (s *sink) refusing(f func(ctx context.Context, e event.Event) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

func (s *sink) asked(ctx context.Context, events ...event.Event) error {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse == nil {
		return nil
	}
	for _, e := range events {
		if err := refuse(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// Dispatch keeps all events or none.
func (s *sink) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := s.asked(ctx, events...); err != nil {
		return err
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID()
	}
	s.keep(events, ids...)
	return nil
}

// Schedule keeps the event.
func (s *sink) Schedule(ctx context.Context, at time.Time, key string, e event.Event) error {
	if err := s.asked(ctx, e); err != nil {
		return err
	}
	s.keep([]event.Event{e}, "schedule "+key+" "+e.ID()+" "+at.UTC().Format(time.RFC3339Nano))
	return nil
}

// Cancel keeps the key.
func (s *sink) Cancel(ctx context.Context, key string) (bool, error) {
	if err := s.asked(ctx); err != nil {
		return false, err
	}
	s.keep(nil, "cancel "+key)
	return true, nil
}

func (s *sink) keep(events []event.Event, calls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, calls...)
	s.sizes = append(s.sizes, len(events))
	for _, e := range events {
		s.events[e.ID()] = e
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// different is what was kept, each once, in the order of the first times.
func (s *sink) different() []string {
	var all []string
	seen := map[string]bool{}
	for _, c := range s.all() {
		if !seen[c] {
			seen[c] = true
			all = append(all, c)
		}
	}
	return all
}

func (s *sink) event(id string) event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[id]
}

func (s *sink) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
