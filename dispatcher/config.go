package dispatcher

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
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
	// event.Filter.Validate.
	EventTypes []event.Type
	// TenantBacklog is the most deliveries that wait in all lanes of one tenant together, so that its flood takes
	// nobody else's room; 0 = no such bound. It does not count for routes without a tenant and those of AnyTenant. With
	// a queue that cannot bound it (queue.Properties), one that is set is a *channel.ConfigError.
	TenantBacklog int
}

// MaxNameLength is the most characters of a route's name.
const MaxNameLength = 100

// reservedPrefix begins the names of lanes that are the library's own.
const reservedPrefix = "tocsin."

// activate makes routes ready to send, or reports everything that is wrong with them, in their order. A route that is
// equal to the one in force is that one. The routes replace those in force that the scope covers.
func (e *Engine) activate(routes []Route, of scope) ([]*activeRoute, error) {
	var errs []error
	table := e.table.Load()
	all := make([]*activeRoute, len(routes))
	given := make(map[RouteID]int, len(routes))
	for i := len(routes) - 1; i >= 0; i-- {
		given[routes[i].ID()] = i // the first one counts
	}
	find := func(id RouteID) *Route {
		if i, ok := given[id]; ok {
			return &routes[i]
		}
		if r := table.find(id); r != nil && !of.covers(id.Tenant) {
			return &r.Route
		}
		return nil
	}
	for i := range routes {
		r := &routes[i]
		c := routeErrors{route: r, index: i}
		if inForce := table.find(r.ID()); inForce != nil && inForce.equal(r.withDefaults()) {
			all[i] = inForce
		} else {
			c.validate(e.queue, e.types)
			if !isNil(r.Channel) && !slices.ContainsFunc(r.Use, func(mw channel.Middleware) bool { return mw == nil }) {
				all[i] = c.activate(e)
			}
		}
		if !of.covers(r.Tenant) {
			c.add("Tenant", channel.CodeConflict, "is not the tenant whose routes these are", "set the routes of each tenant by themselves")
		}
		c.fallback(find)
		if first := given[r.ID()]; first != i && r.Name != "" {
			c.add("Name", channel.CodeDuplicate, fmt.Sprintf("%q is also that of Routes[%d]", clip(r.Name), first),
				"give every route of a tenant its own name")
		}
		errs = append(errs, c.errs...)
	}
	return all, errors.Join(errs...)
}

// storeFailed logs failures of the dedup store, which otherwise nobody would notice: the events are delivered.
func (e *Engine) storeFailed(route RouteID) func(*dedup.StoreError) {
	return func(err *dedup.StoreError) {
		e.log.Warn("tocsin: the dedup store fails, duplicates are possible", AttrRoute, route.Name, AttrTenant, route.Tenant, AttrError, err)
	}
}

func validateSource(source string) error {
	err := event.Meta{Source: source}.Validate()
	if invalid, ok := errors.AsType[*event.InvalidError](err); ok {
		return configError(channel.CodeInvalid, "Source", invalid.Problem, invalid.Remedy)
	}
	return err
}

func (e *Engine) validateTenantBacklog() error {
	switch {
	case e.tenantBacklog < 0:
		return configError(channel.CodeRange, "TenantBacklog", "is negative", "leave it out for no bound")
	case e.tenantBacklog > 0 && !e.queue.Properties().Bounded:
		return configError(channel.CodeConflict, "TenantBacklog", "is set, but this queue does not bound lanes", "leave it out: the queue's storage is the bound")
	}
	return nil
}

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "dispatcher", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// isNil reports whether v is nil or holds a nil pointer or function.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// validatePart reports a part of a Config that is set to a nil of some type, which would panic later.
func validatePart(path string, part any) error {
	if part == nil || !isNil(part) {
		return nil
	}
	return configError(channel.CodeMissing, path, fmt.Sprintf("is a nil %T", part), "set one that works, or leave it out")
}

// routeErrors collects what is wrong with one route.
type routeErrors struct {
	route *Route
	index int
	errs  []error
}

// add reports a field by its path below the route. Documents reach most fields, so the words name none of Go.
func (c *routeErrors) add(path string, code channel.ConfigCode, problem, remedy string) {
	e := configError(code, fmt.Sprintf("Routes[%d].%s", c.index, path), problem, remedy)
	if path != "Name" {
		e.Of = fmt.Sprintf("route %q", clip(c.route.Name))
	}
	c.errs = append(c.errs, e)
}

func (c *routeErrors) notNegative(path string, n int64, remedy string) {
	if n < 0 {
		c.add(path, channel.CodeRange, "is negative", remedy)
	}
}

// validate reports the mistakes that can be seen without knowing the other routes.
func (c *routeErrors) validate(q queue.Queue, types []event.Type) {
	r := c.route
	switch length := utf8.RuneCountInString(r.Name); {
	case r.Name == "":
		c.add("Name", channel.CodeMissing, "is empty", "give every route a name of its own")
	case length > MaxNameLength:
		c.add("Name", channel.CodeRange, fmt.Sprintf("has %d characters", length), fmt.Sprintf("use at most %d", MaxNameLength))
	case !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, unicode.IsControl):
		c.add("Name", channel.CodeInvalid, "has a control character or is not UTF-8", "use printable text")
	case strings.HasPrefix(r.Name, reservedPrefix):
		c.add("Name", channel.CodeInvalid, "begins with "+reservedPrefix, "choose another name: this prefix is the library's own")
	}
	if err := (event.Meta{Subject: r.ID().String()}).Validate(); err != nil && c.errs == nil {
		c.add("Tenant", channel.CodeInvalid, "and name make an id, tenant/name, of more than 255 characters or with a control character, or that is not UTF-8",
			"use a shorter, printable id of the tenant")
	}
	if r.Channel == nil {
		c.add("Channel", channel.CodeMissing, "is nil", "set the channel that delivers")
	} else if isNil(r.Channel) {
		c.add("Channel", channel.CodeMissing, fmt.Sprintf("is a nil %T", r.Channel),
			"set the channel that delivers; check the error of its constructor")
	}
	if r.Retry != nil && isNil(r.Retry) {
		c.add("Retry", channel.CodeMissing, fmt.Sprintf("is a nil %T", r.Retry), "leave it out for the default")
	}
	if err := r.Events.Validate(types...); err != nil {
		c.add("Events", channel.CodeInvalid, err.Error(), "")
	}
	c.notNegative("Concurrency", int64(r.Concurrency), "leave it out for the default of 4; to stop, pause the route")
	if r.Order > Strict {
		c.add("Order", channel.CodeUnknown, "is unknown", "use parallel, by subject or strict")
	}
	properties := q.Properties()
	if r.Order == BySubject && !properties.KeyedOrder {
		c.add("Order", channel.CodeConflict, "is by subject, which this queue does not offer", "use strict, or another queue")
	}
	if r.State > Paused {
		c.add("State", channel.CodeUnknown, "is unknown", "use enabled, disabled or paused")
	}
	if r.Rate.Events > 0 && r.Rate.Per >= 0 && r.Rate.interval() <= 0 {
		c.add("Rate", channel.CodeRange, "is above one per nanosecond", "leave it out for no limit")
	}
	c.notNegative("Rate.Events", int64(r.Rate.Events), "leave it out for no limit")
	c.notNegative("Rate.Per", int64(r.Rate.Per), "leave it out for a second")
	c.notNegative("Rate.Burst", int64(r.Rate.Burst), "leave it out for one at a time")
	if !properties.Bounded && r.Backlog != (Backlog{}) {
		c.add("Backlog", channel.CodeConflict, "is set, but this queue does not bound lanes", "leave it out: the queue's storage is the bound")
	}
	c.notNegative("Backlog.Jobs", int64(r.Backlog.Jobs), "leave it out for the queue's default")
	if r.Backlog.Overflow > DropOldest {
		c.add("Backlog.Overflow", channel.CodeUnknown, "is unknown", "reject new events or drop the oldest")
	}
	if !properties.DeadBounded && r.DeadLetters != (DeadLetterLimit{}) {
		c.add("DeadLetters", channel.CodeConflict, "is set, but this queue does not bound the dead letters of a lane",
			"leave it out: the queue's own configuration says how many are kept")
	}
	c.notNegative("DeadLetters.Count", int64(r.DeadLetters.Count), "leave it out for the default of 1,000")
	c.notNegative("DeadLetters.Age", int64(r.DeadLetters.Age), "leave it out for no limit")
	c.notNegative("Dedup.Window", int64(r.Dedup.Window), "leave it out for none")
	c.notNegative("Dedup.Lease", int64(r.Dedup.Lease), "leave it out for the default")
	if span, ends := askPolicy(r.Retry, retry.Span); ends && r.MaxAge > 0 && span > r.MaxAge {
		c.add("MaxAge", channel.CodeConflict, fmt.Sprintf("is %s, which cuts the retry policy: that goes on for up to %s", duration.Text(r.MaxAge), duration.Text(span)),
			"raise it, leave it out to follow the policy, or shorten the policy")
	}
	c.protection()
	for i, mw := range r.Use {
		if mw == nil {
			c.add(fmt.Sprintf("Use[%d]", i), channel.CodeMissing, "is nil", "remove it")
		}
	}
}

// clip keeps an overlong name readable in an error.
func clip(name string) string {
	if utf8.RuneCountInString(name) <= MaxNameLength {
		return name
	}
	return string([]rune(name)[:20]) + "…"
}
