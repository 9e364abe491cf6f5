package dispatcher

import (
	"encoding/json"
	"log/slog"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

// Observer is notified of what happens; nil fields are skipped. The functions are called from many goroutines at once,
// between deliveries, so they return quickly and do not call the Engine's SetRoutes, SetTenant or Shutdown. A panic in
// one is logged and otherwise ignored.
type Observer struct {
	Dispatched func(e event.Event, routes int)    // accepted for this many routes
	Unrouted   func(e event.Event, reason Reason) // no route wanted it
	Attempted  func(Attempt)                      // a channel was asked to send
	Settled    func(Settlement)                   // a delivery is over
	// Disabled says that the library stopped using a route. The Attempt that led to it came before.
	Disabled func(Disablement)
	// RoutesChanged gets what changes: all routes by New, and by SetRoutes and SetTenant, before they return, what
	// differs from the routes before. Calls do not overlap. Attempts of replaced routes can still follow it.
	RoutesChanged func(RouteChange)
}

// RouteChange is a change of the routes in force. What it points to is shared and must not be modified.
type RouteChange struct {
	Set []Route // added or changed, with their defaults filled in
	// Replaced are those of Set that have another destination than before, and Retried those whose destination gets
	// another try (see SetRoutes). Neither is disabled any more (Disablement).
	Replaced, Retried []RouteID
	Removed           []RouteID
}

// Reason says why no route took an event: the nearest miss.
type Reason string

const (
	NoType   Reason = "type"   // no route of any tenant has a filter that wants it
	NoTenant Reason = "tenant" // filters want its type, but those of routes for other tenants
	NoState  Reason = "state"  // a route would take it, but is disabled
)

// Outcome is what became of an attempt, or of a delivery. The words are stable: histories and metrics keep them.
type Outcome string

// The outcomes. An attempt is delivered, skipped, failed or postponed; a delivery ends delivered, skipped or dead.
const (
	Delivered Outcome = "delivered"
	Skipped   Outcome = "skipped"   // an identical event was delivered within the dedup window
	Failed    Outcome = "failed"    // whether or not another attempt follows
	Postponed Outcome = "postponed" // nothing was tried
	Dead      Outcome = "dead"      // ended without success: refused, out of attempts, too old, or dropped from a full backlog
)

// Settlement is the end of a delivery.
type Settlement struct {
	// Delivery is the last attempt, if one was made. Its Route has the event's tenant where a lane held an event that
	// is not of its tenant, which is dead: nothing of one tenant is reported under another.
	Delivery channel.Delivery `json:"delivery"`
	Outcome  Outcome          `json:"outcome"`
	Reason   string           `json:"reason,omitempty"` // why it is dead, in words; "" otherwise
	// Err is the last attempt's error, if one was made; nil otherwise. In JSON it is its text, as error.
	Err error `json:"-"`
}

// MarshalJSON implements json.Marshaler.
func (s Settlement) MarshalJSON() ([]byte, error) {
	type plain Settlement
	return json.Marshal(struct {
		plain

		Error string `json:"error,omitempty"`
	}{plain(s), errorText(s.Err)})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Disablement says that a route is no longer used, until it has another destination, or that gets another try (see
// SetRoutes).
type Disablement struct {
	Route  RouteID
	Reason error // channel.ErrGone, or a *FailingError (Protection.DisableAfter)
}

// observers are those of an Engine, in their order.
type observers struct {
	all []Observer
	log *slog.Logger
}

func (o *observers) notifyDispatched(e event.Event, routes int) {
	for i := range o.all {
		if f := o.all[i].Dispatched; f != nil {
			o.call("Dispatched", func() { f(e, routes) })
		}
	}
}

func (o *observers) notifyUnrouted(e event.Event, reason Reason) {
	for i := range o.all {
		if f := o.all[i].Unrouted; f != nil {
			o.call("Unrouted", func() { f(e, reason) })
		}
	}
}

// notifyAttempted takes a pointer, as notifySettled does, because attempts are large and most have no observer.
func (o *observers) notifyAttempted(a *Attempt) {
	for i := range o.all {
		if f := o.all[i].Attempted; f != nil {
			o.call("Attempted", func() { f(*a) })
		}
	}
}

func (o *observers) notifySettled(s *Settlement) {
	for i := range o.all {
		if f := o.all[i].Settled; f != nil {
			o.call("Settled", func() { f(*s) })
		}
	}
}

func (o *observers) notifyDisabled(d Disablement) {
	for i := range o.all {
		if f := o.all[i].Disabled; f != nil {
			o.call("Disabled", func() { f(d) })
		}
	}
}

func (o *observers) notifyRoutesChanged(c RouteChange) {
	for i := range o.all {
		if f := o.all[i].RoutesChanged; f != nil {
			o.call("RoutesChanged", func() { f(c) })
		}
	}
}

// call keeps a panic of an observer away from the delivery and the next observer.
func (o *observers) call(hook string, f func()) {
	defer func() {
		if recover() != nil {
			o.log.Error("tocsin: an observer panicked", AttrHook, hook)
		}
	}()
	f()
}
