package dispatchertest

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Scheduled is an event that was given to Schedule.
type Scheduled struct {
	At    time.Time
	Key   string
	Event event.Event
}

// Schedule keeps the event until DispatchDue or Cancel, in place of what the key held. It keeps nothing if the event is
// the zero Event (*dispatcher.EventError) or the key is empty or too long (*dispatcher.KeyError), after Shutdown
// (dispatcher.ErrShutdown), if an error was set by Fail, or if ctx is done.
func (r *Recorder) Schedule(ctx context.Context, at time.Time, key string, e event.Event) error {
	if err := dispatcher.ValidateEvents(e); err != nil {
		return err
	}
	if err := dispatcher.ValidateKey(key); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(ctx); err != nil {
		return err
	}
	r.take(key)
	r.scheduled = append(r.scheduled, Scheduled{At: at, Key: key, Event: e})
	return nil
}

// Cancel removes the event scheduled under key and reports whether there was one. It removes nothing if an error was
// set by Fail, or if ctx is done.
func (r *Recorder) Cancel(ctx context.Context, key string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.next(ctx); err != nil {
		return false, err
	}
	s, found := r.take(key)
	if found {
		r.cancelled = append(r.cancelled, s)
	}
	return found, nil
}

// take removes what is scheduled under key. r.mu is held.
func (r *Recorder) take(key string) (Scheduled, bool) {
	i := slices.IndexFunc(r.scheduled, func(s Scheduled) bool { return s.Key == key })
	if i < 0 {
		return Scheduled{}, false
	}
	s := r.scheduled[i]
	r.scheduled = slices.Delete(r.scheduled, i, i+1)
	return s, true
}

// DispatchDue dispatches what is scheduled for t or earlier, as an Engine does when it is t, in the order of the times.
// Where they are equal, the order is that of the calls of Schedule; an Engine promises none. The events are found in
// Events then. It reports how many they are.
func (r *Recorder) DispatchDue(t time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shutdown {
		return 0
	}
	var due []event.Event
	for _, s := range byTime(r.scheduled) {
		if s.At.After(t) {
			break
		}
		r.take(s.Key)
		due = append(due, s.Event)
	}
	r.add(due...)
	return len(due)
}

// byTime returns a copy in the order of the times.
func byTime(all []Scheduled) []Scheduled {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Scheduled) int { return a.At.Compare(b.At) })
	return sorted
}

// Scheduled returns what is scheduled and not yet due or cancelled, in the order of the times.
func (r *Recorder) Scheduled() []Scheduled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return byTime(r.scheduled)
}

// Cancelled returns what Cancel removed so far, in order.
func (r *Recorder) Cancelled() []Scheduled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.cancelled)
}
