package dispatcher

import (
	"fmt"
	"time"
)

// Protection says what happens to a route that keeps failing, and to what dies on it. The zero value is off.
type Protection struct {
	// Breaker pauses the lane while its destination fails, instead of using up the attempts of everything that waits.
	Breaker Breaker
	// DisableAfter pauses the lane once it has been failing for this long without a success, until SetRoutes, as for a
	// destination that is gone; Observer.Disabled is told a *FailingError. A failed attempt is what notices it. 0 = never.
	DisableAfter time.Duration
	// Fallback names the route that gets what dies on this one, for whatever reason, as a new delivery: whatever its
	// filter says, unless it is disabled or had the event already. Its Tenant is this route's or AnyTenant. Fallbacks may
	// follow each other, but not in a circle. The delivery stays a dead letter here. "" = none.
	Fallback string
}

// Breaker opens after Failures transient failures in a row, whatever deliveries they are of. While it is open no attempt
// starts, but time goes on: a policy's or MaxAge's end can come meanwhile. After Pause one attempt, the probe, goes
// through: its success closes the breaker, its failure opens it again for twice as long, at most MaxPause. Postponed and
// permanently failed attempts say nothing about the destination: they neither open nor close it. SetRoutes lets a probe
// through at once. A probe counts as an attempt of its delivery.
type Breaker struct {
	Failures int           // 0 = off
	Pause    time.Duration // 0 = DefaultBreakerPause
	MaxPause time.Duration // 0 = DefaultBreakerMaxPause, or Pause if that is longer
}

// Defaults of Breaker.
const (
	DefaultBreakerPause    = 30 * time.Second
	DefaultBreakerMaxPause = 15 * time.Minute
)

func (p Breaker) withDefaults() Breaker {
	if p.Pause == 0 {
		p.Pause = DefaultBreakerPause
	}
	if p.MaxPause == 0 {
		p.MaxPause = max(DefaultBreakerMaxPause, p.Pause)
	}
	return p
}

// validate reports the mistakes that can be seen without knowing the other routes.
func (p Protection) validate(bad func(field, problem, remedy string)) {
	if p.Breaker.Failures < 0 || p.Breaker.Pause < 0 || p.Breaker.MaxPause < 0 {
		bad("Protect", "has a Breaker with a negative value", "use for example Breaker{Failures: 5}, or 0 for off")
	} else if full := p.Breaker.withDefaults(); full.MaxPause < full.Pause {
		bad("Protect", fmt.Sprintf("has a Breaker whose MaxPause of %v is shorter than its Pause of %v", full.MaxPause, full.Pause),
			"raise MaxPause")
	}
	if p.DisableAfter < 0 {
		bad("Protect", "has a negative DisableAfter", "use 0 for never")
	}
}

// checkFallback reports what is wrong with the fallback of r, which is at index.
func checkFallback(index int, r *Route, byName map[string]*Route) error {
	name := r.Protect.Fallback
	if name == "" {
		return nil
	}
	bad := func(problem, remedy string) error {
		return &ConfigError{Route: clip(r.Name), Index: index, Field: "Protect", Problem: problem, Remedy: remedy}
	}
	to := byName[name]
	switch {
	case to == nil:
		return bad(fmt.Sprintf("has the Fallback %q, which is no route", clip(name)), "name one of the routes")
	case to.Tenant != AnyTenant && to.Tenant != r.Tenant:
		return bad(fmt.Sprintf("has the Fallback %q, which is for another tenant", name), "name a route of the same tenant, or of AnyTenant")
	}
	// A circle is reported at each of its routes, but not at those that only lead into it.
	for range maxFallbacks {
		if to.Name == r.Name {
			return bad(fmt.Sprintf("has the Fallback %q, which leads back here", name), "end the chain of fallbacks somewhere")
		}
		if to = byName[to.Protect.Fallback]; to == nil {
			return nil
		}
	}
	return bad(fmt.Sprintf("has the Fallback %q, which has more than %d fallbacks in turn", name, maxFallbacks), "shorten the chain of fallbacks")
}

// maxFallbacks is the length of a chain of fallbacks: each route's is followed when it is loaded.
const maxFallbacks = 16

// FailingError is what Observer.Disabled is told of a route that failed for Protection.DisableAfter.
type FailingError struct {
	Since time.Time // of the first failed attempt since the last success
	Err   error     // of the last attempt
}

func (e *FailingError) Error() string {
	return fmt.Sprintf("no success since %s: %v", e.Since.UTC().Format(time.RFC3339), e.Err)
}

// Unwrap returns the last attempt's error.
func (e *FailingError) Unwrap() error { return e.Err }
