package dispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Observer is notified of what happens; nil fields are skipped. The functions are called from many goroutines at once,
// between deliveries, so they return quickly and do not call the Engine's SetRoutes or Shutdown. A panic in one is
// logged and otherwise ignored.
type Observer struct {
	Dispatched func(e event.Event, routes int)    // accepted for this many routes
	Unrouted   func(e event.Event, reason Reason) // no route wanted it
	Attempted  func(Attempt)                      // a channel was asked to send
	Settled    func(Settlement)                   // a delivery is over
	// Disabled says that the library stopped using a route until SetRoutes. The Attempt that led to it came before.
	Disabled func(Disablement)
	// Routes gets the routes in force, with their defaults filled in: by New, and by SetRoutes before it returns. The
	// list is shared and must not be modified. Calls do not overlap. Attempts of replaced routes can still follow it.
	Routes func(routes []Route)
}

// Reason says why no route took an event: the nearest miss.
type Reason string

const (
	NoType   Reason = "type"   // no route of any tenant has a filter that wants it
	NoTenant Reason = "tenant" // filters want it, but those of routes for other tenants
	NoState  Reason = "state"  // a route would take it, but is disabled
)

// Attempt is one call of a channel.
type Attempt struct {
	// Context is the one the queue ran the job with, for the values it carries, such as a trace's span: it is what joins
	// an observer to a wrapper around the queue. It may be done already, and is not to be kept.
	Context  context.Context
	Delivery channel.Delivery
	Tenant   string // the route's: AnyTenant for one of the whole platform, whichever tenant's event it was
	Receipt  channel.Receipt
	Outcome  Outcome
	Err      error         // nil = delivered, or skipped as a duplicate
	Verdict  retry.Verdict // on Err
	Began    time.Time
	Duration time.Duration
	Next     time.Duration // until the next attempt; 0 = at once, or there is none
}

// Settlement is the end of a delivery.
type Settlement struct {
	Delivery channel.Delivery
	// Tenant is the route's, as of an Attempt. Of a delivery that died because the route's name had passed to another
	// tenant, it is the event's: nothing of one tenant is reported under another.
	Tenant  string
	Outcome Outcome
	Reason  string // why it is dead, in words; "" otherwise
	Err     error  // the last attempt's error, if one was made; nil otherwise
}

// Disablement says that a route is no longer used, until SetRoutes.
type Disablement struct {
	Route  string
	Tenant string // the route's
	Reason error  // channel.ErrGone, or a *FailingError (Protection.DisableAfter)
}

// Outcome is what became of an attempt, or of a delivery. The words are stable: histories and metrics keep them.
type Outcome string

// The outcomes. An attempt is delivered, skipped, failed or postponed; a delivery ends delivered, skipped or dead.
const (
	Delivered Outcome = "delivered"
	Skipped   Outcome = "skipped"   // an identical event was delivered within the dedup window
	Failed    Outcome = "failed"    // whether or not another attempt follows
	Postponed Outcome = "postponed" // nothing was tried
	Dead      Outcome = "dead"      // given up: permanent failure, end of the policy, too old, or dropped from a full backlog
)

// observers holds the functions that are set, so that what nobody observes costs nothing.
type observers struct {
	dispatched []func(event.Event, int)
	unrouted   []func(event.Event, Reason)
	attempted  hooks[Attempt]
	settled    hooks[Settlement]
	disabled   hooks[Disablement]
	routes     hooks[[]Route]
}

func newObservers(all []Observer, log *slog.Logger) observers {
	var o observers
	for _, each := range all {
		o.dispatched = with2(o.dispatched, each.Dispatched, "Dispatched", log)
		o.unrouted = with2(o.unrouted, each.Unrouted, "Unrouted", log)
		o.attempted = o.attempted.with(each.Attempted, "Attempted", log)
		o.settled = o.settled.with(each.Settled, "Settled", log)
		o.disabled = o.disabled.with(each.Disabled, "Disabled", log)
		o.routes = o.routes.with(each.Routes, "Routes", log)
	}
	return o
}

// hooks are the functions to call with a fact, mostly of a delivery. They are no closures, and the fact is copied for
// the functions only, because copies of something that large are what a delivery costs most.
type hooks[F any] struct {
	all  []func(F)
	name string
	log  *slog.Logger
}

func (h hooks[F]) with(f func(F), name string, log *slog.Logger) hooks[F] {
	if f == nil {
		return h
	}
	return hooks[F]{append(h.all, f), name, log}
}

func (h *hooks[F]) notify(fact *F) {
	for _, f := range h.all {
		h.call(f, fact)
	}
}

func (h *hooks[F]) call(f func(F), fact *F) {
	defer contain(h.name, h.log)
	f(*fact)
}

// with2 appends f, if it is set, so that its panic harms neither the delivery nor the next observer.
func with2[A, B any](fs []func(A, B), f func(A, B), hook string, log *slog.Logger) []func(A, B) {
	if f == nil {
		return fs
	}
	return append(fs, func(a A, b B) {
		defer contain(hook, log)
		f(a, b)
	})
}

func contain(hook string, log *slog.Logger) {
	if recover() != nil {
		log.Error("tocsin: an observer panicked", AttrHook, hook)
	}
}
