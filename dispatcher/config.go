package dispatcher

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Config configures an Engine. The zero value works and delivers nothing, because it has no routes.
type Config struct {
	Routes     []Route
	Queue      queue.Queue  // nil = in memory
	DedupStore dedup.Store  // for routes with Dedup; nil = in memory
	Observers  []Observer   // notified of everything, in this order
	Logger     *slog.Logger // nil = slog.Default
	Source     string       // source of events that have none
	// EventTypes are the host's own types of events. With them, a route whose filter names a type that is neither among
	// them nor in the catalogue is a mistake; without, only one that is nearly a type of the catalogue. See
	// event.Filter.Check.
	EventTypes []event.Type
}

// MaxNameLength is the most characters of a route's name.
const MaxNameLength = 100

// reservedPrefix begins the names of lanes that are the library's own.
const reservedPrefix = "tocsin."

// bind makes routes ready to send, or reports everything that is wrong with them, in their order.
func (e *Engine) bind(routes []Route) ([]*bound, error) {
	var errs []error
	all := make([]*bound, len(routes))
	seen := make(map[string]int, len(routes))
	byName := make(map[string]*Route, len(routes))
	for i := range routes {
		byName[routes[i].Name] = &routes[i]
	}
	for i, r := range routes {
		err := r.validate(i, e.queue, e.types)
		if err == nil {
			if r.Dedup.OnStoreError == nil {
				r.Dedup.OnStoreError = e.storeFailed(r.Name)
			}
			all[i], err = newBound(r, i, e.dedup, e.clock)
		}
		errs = append(errs, err, checkFallback(i, &r, byName))
		if first, twice := seen[r.Name]; twice && r.Name != "" {
			errs = append(errs, &ConfigError{Route: clip(r.Name), Index: i, Field: "Name",
				Problem: fmt.Sprintf("is also the name of Routes[%d]", first), Remedy: "give every route its own name"})
			continue
		}
		seen[r.Name] = i
	}
	return all, errors.Join(errs...)
}

// storeFailed logs failures of the dedup store, which otherwise nobody would notice: the events are delivered.
func (e *Engine) storeFailed(route string) func(*dedup.StoreError) {
	return func(err *dedup.StoreError) {
		e.log.Warn("tocsin: the dedup store fails, duplicates are possible", AttrRoute, route, AttrError, err)
	}
}

func checkSource(source string) error {
	err := event.Meta{Source: source}.Validate()
	if invalid, ok := errors.AsType[*event.InvalidError](err); ok {
		return &ConfigError{Index: -1, Field: "Source", Problem: invalid.Problem, Remedy: invalid.Remedy}
	}
	return err
}

// isNil reports whether v is nil or holds a nil pointer or function.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// checkParts reports what is set in c to a nil of some type, which would panic later.
func (c *Config) checkParts() error {
	var errs []error
	for _, part := range []struct {
		field string
		value any
	}{{"Queue", c.Queue}, {"DedupStore", c.DedupStore}} {
		if part.value != nil && isNil(part.value) {
			errs = append(errs, &ConfigError{Index: -1, Field: part.field, Problem: fmt.Sprintf("is a nil %T", part.value),
				Remedy: "set one that works, or leave it out"})
		}
	}
	return errors.Join(errs...)
}

func (r *Route) validate(index int, q queue.Queue, types []event.Type) error {
	p := q.Properties()
	var errs []error
	bad := func(field, problem, remedy string) {
		errs = append(errs, &ConfigError{Route: clip(r.Name), Index: index, Field: field, Problem: problem, Remedy: remedy})
	}
	switch {
	case r.Name == "":
		bad("Name", "is empty", "give every route a name of its own")
	case utf8.RuneCountInString(r.Name) > MaxNameLength:
		bad("Name", fmt.Sprintf("has %d characters", utf8.RuneCountInString(r.Name)), fmt.Sprintf("use at most %d", MaxNameLength))
	case !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, unicode.IsControl):
		bad("Name", "has a control character or is not UTF-8", "use printable text")
	case strings.HasPrefix(r.Name, reservedPrefix):
		bad("Name", "begins with "+reservedPrefix, "choose another name: this prefix is the library's own")
	}
	if r.Channel == nil {
		bad("Channel", "is nil", "set the channel that delivers")
	} else if isNil(r.Channel) {
		bad("Channel", fmt.Sprintf("is a nil %T", r.Channel), "set the channel that delivers; was the error of its constructor looked at?")
	}
	if r.Retry != nil && isNil(r.Retry) {
		bad("Retry", fmt.Sprintf("is a nil %T", r.Retry), "leave it out for the default")
	}
	if err := r.Events.Validate(types...); err != nil {
		bad("Events", err.Error(), "")
	}
	if r.Concurrency < 0 {
		bad("Concurrency", "is negative", "use 0 for the default of 4, or State Paused to stop")
	}
	if r.Order > Strict {
		bad("Order", "is unknown", "use Parallel, BySubject or Strict")
	}
	if r.Order == BySubject && !p.KeyedOrder {
		bad("Order", "is BySubject, which this queue does not offer", "use Strict, or another queue")
	}
	if r.State > Paused {
		bad("State", "is unknown", "use Enabled, Disabled or Paused")
	}
	if r.Rate.Events < 0 || r.Rate.Per < 0 || r.Rate.Burst < 0 {
		bad("Rate", "has a negative value", "use for example Rate{Events: 1, Per: time.Second}")
	} else if r.Rate.Events > 0 && r.Rate.interval() <= 0 {
		bad("Rate", "is above one per nanosecond", "leave it zero for no limit")
	}
	if _, bounds := q.(queue.Bounder); !bounds && r.Backlog != (Backlog{}) {
		bad("Backlog", "is set, but this queue does not bound lanes", "leave it out: the queue's storage is the bound")
	}
	if r.Backlog.Jobs < 0 {
		bad("Backlog", "is negative", "use 0 for the default of 10,000")
	}
	if r.Backlog.Overflow > DropOldest {
		bad("Backlog", "has an unknown Overflow", "use RejectNew or DropOldest")
	}
	if r.Dedup.Window < 0 || r.Dedup.Lease < 0 {
		bad("Dedup", "has a negative duration", "use 0 for off")
	}
	if span, ends := asked(r.Retry, retry.Span); ends && r.MaxAge > 0 && span > r.MaxAge {
		bad("MaxAge", fmt.Sprintf("of %v cuts the retry policy, which goes on for up to %v", r.MaxAge, span),
			"raise it, leave it out to follow the policy, or shorten the policy")
	}
	r.Protect.validate(bad)
	for i, mw := range r.Use {
		if mw == nil {
			bad("Use", fmt.Sprintf("has nil at %d", i), "remove it")
		}
	}
	return errors.Join(errs...)
}

// clip keeps an overlong name readable in an error.
func clip(name string) string {
	if utf8.RuneCountInString(name) <= MaxNameLength {
		return name
	}
	return string([]rune(name)[:20]) + "…"
}
