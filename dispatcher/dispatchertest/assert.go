package dispatchertest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

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
		p, ok := decode[T](t, e)
		if !ok {
			return nil
		}
		all = append(all, p)
	}
	return all
}

// RequireScheduled returns the payload and the time of the event that is scheduled under key, and ends the test when
// there is none or it is not of type T.
func RequireScheduled[T event.Payload](t TB, r *Recorder, key string) (T, time.Time) {
	t.Helper()
	var zero T
	all := r.Scheduled()
	i := slices.IndexFunc(all, func(s Scheduled) bool { return s.Key == key })
	if i < 0 || all[i].Event.Type() != zero.EventType() {
		t.Fatalf("no event of type %s is scheduled under %q; scheduled: %s", zero.EventType(), key, listScheduled(all))
		return zero, time.Time{}
	}
	p, _ := decode[T](t, all[i].Event)
	return p, all[i].At
}

// RequireCancelled ends the test unless an event was scheduled under key and cancelled, and none is scheduled there
// now.
func RequireCancelled(t TB, r *Recorder, key string) {
	t.Helper()
	under := func(s Scheduled) bool { return s.Key == key }
	scheduled, cancelled := r.Scheduled(), r.Cancelled()
	if slices.ContainsFunc(scheduled, under) || !slices.ContainsFunc(cancelled, under) {
		t.Fatalf("the event under %q was not cancelled; scheduled: %s; cancelled: %s", key, listScheduled(scheduled), listScheduled(cancelled))
	}
}

func decode[T event.Payload](t TB, e event.Event) (T, bool) {
	t.Helper()
	p, err := event.Decode[T](e)
	if err != nil {
		t.Fatalf("event %s does not decode as its own type: %v", e, err)
	}
	return p, err == nil
}

// list names what was dispatched, by type and id only.
func (r *Recorder) list() string {
	var names []string
	for _, e := range r.Events() {
		names = append(names, e.String())
	}
	return joined(names)
}

// listScheduled names what is or was scheduled, by key, type and id only.
func listScheduled(all []Scheduled) string {
	var names []string
	for _, s := range all {
		names = append(names, fmt.Sprintf("%s under %q", s.Event, s.Key))
	}
	return joined(names)
}

func joined(names []string) string {
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
