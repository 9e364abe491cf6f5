package dispatcher

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
)

// Protection says what happens to a route that keeps failing, and to dead deliveries. The zero value is a
// breaker with defaults and nothing else.
type Protection struct {
	// Breaker lets one probe through at growing intervals while the destination fails, instead of a request for
	// everything that waits.
	Breaker Breaker
	// DisableAfter pauses the lane once it has been failing for this long without a success, as for a destination that
	// is gone, until the route has another Channel, or is paused and enabled again; Observer.Disabled gets a
	// *FailingError. A failed attempt is what notices it. The time counts from the first transient failure. Permanent
	// failures are refusals of single events: they neither begin it nor notice it, unless ten deliveries were refused
	// with no success in between. 0 = never.
	DisableAfter time.Duration
	// Fallback names the route that gets the dead deliveries of this one, for whatever reason, as new ones: whatever
	// its filter says, unless it is disabled or had the event already. It is the route of that name with this route's
	// Tenant or, if there is none, with AnyTenant. Fallbacks may follow each other, but not in a circle. The delivery
	// stays a dead letter here. "" = none.
	//
	// While the fallback has no room, or the queue cannot store, the delivery waits here, counted as queued and not
	// attempted again, and with an Order what follows it waits too. What a full Backlog drops is offered to the
	// fallback once.
	Fallback string
}

// Breaker opens after transient failures of Failures different deliveries with no success in between. A healthy
// receiver with a few bad events, however often they are tried, never opens it, nor does a lane with Order Strict, in
// which one delivery is tried at a time: its policy alone says when. While it is open no attempt starts, but time goes
// on: a policy's or MaxAge's end can come meanwhile. After Pause one attempt, the probe, goes through: its success
// closes the breaker, its failure opens it again for twice as long, at most MaxPause. Postponed and permanently failed
// attempts say nothing about the destination: they neither open nor close it. A route that is enabled again lets a
// probe through at once. A probe counts as an attempt of its delivery.
type Breaker struct {
	Failures int           // 0 = DefaultBreakerFailures, negative = off
	Pause    time.Duration // 0 = DefaultBreakerPause
	MaxPause time.Duration // 0 = DefaultBreakerMaxPause, or Pause if that is longer
}

// Defaults of Breaker.
const (
	DefaultBreakerFailures = 10
	DefaultBreakerPause    = 30 * time.Second
	DefaultBreakerMaxPause = 15 * time.Minute
)

func (p Breaker) withDefaults() Breaker {
	if p.Failures == 0 {
		p.Failures = DefaultBreakerFailures
	}
	if p.Pause == 0 {
		p.Pause = DefaultBreakerPause
	}
	if p.MaxPause == 0 {
		p.MaxPause = max(DefaultBreakerMaxPause, p.Pause)
	}
	return p
}

func (c *routeErrors) protection() {
	p := c.route.Protect
	c.notNegative("Protect.Breaker.Pause", int64(p.Breaker.Pause), "leave it out for the default of 30 s")
	c.notNegative("Protect.Breaker.MaxPause", int64(p.Breaker.MaxPause), "leave it out for the default of 15 min")
	if full := p.Breaker.withDefaults(); full.MaxPause >= 0 && full.MaxPause < full.Pause {
		c.add("Protect.Breaker.MaxPause", channel.CodeConflict,
			fmt.Sprintf("is %s, shorter than the first pause of %s", duration.Text(full.MaxPause), duration.Text(full.Pause)), "raise it")
	}
	c.notNegative("Protect.DisableAfter", int64(p.DisableAfter), "leave it out for never")
}

// fallback reports what is wrong with the route's fallback.
func (c *routeErrors) fallback(find func(RouteID) *Route) {
	name := c.route.Protect.Fallback
	if name == "" {
		return
	}
	bad := func(code channel.ConfigCode, problem, remedy string) {
		c.add("Protect.Fallback", code, fmt.Sprintf("is %q, which %s", clip(name), problem), remedy)
	}
	to := fallbackOf(find, c.route)
	if to == nil {
		bad(channel.CodeUnknown, "is no route", "name a route of the same tenant, or of all tenants")
		return
	}
	// A circle is reported at each of its routes, but not at those that only lead into it.
	chain := make([]*Route, 0, maxFallbacks)
	for range maxFallbacks {
		switch {
		case to == nil || slices.Contains(chain, to):
			return
		case to.ID() == c.route.ID():
			bad(channel.CodeConflict, "leads back here", "end the chain of fallbacks somewhere")
			return
		}
		chain = append(chain, to)
		to = fallbackOf(find, to)
	}
	if to != nil {
		bad(channel.CodeRange, fmt.Sprintf("has more than %d fallbacks in turn", maxFallbacks), "shorten the chain of fallbacks")
	}
}

// fallbackOf returns the route that r's fallback names: one of the same tenant before one of all tenants.
func fallbackOf(find func(RouteID) *Route, r *Route) *Route {
	if to := find(RouteID{Tenant: r.Tenant, Name: r.Protect.Fallback}); to != nil {
		return to
	}
	return find(RouteID{Tenant: AnyTenant, Name: r.Protect.Fallback})
}

// maxFallbacks is the length of a chain of fallbacks: each route's is followed when it is loaded.
const maxFallbacks = 16

// FailingError is why a route that failed for Protection.DisableAfter is disabled.
type FailingError struct {
	Since time.Time // since when the destination has been failing; see Protection.DisableAfter
	Err   error     // of the last attempt
}

func (e *FailingError) Error() string {
	return fmt.Sprintf("no success since %s: %v", e.Since.UTC().Format(time.RFC3339), e.Err)
}

// Unwrap returns the last attempt's error.
func (e *FailingError) Unwrap() error { return e.Err }
