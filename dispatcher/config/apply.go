package config

import (
	"context"
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
)

// Engine is what [Apply] changes the routes of: a dispatcher.Engine.
type Engine interface {
	SetTenant(ctx context.Context, tenant string, routes []dispatcher.Route) error
}

// Monitor is what [Apply] sets the alerts of: a health.Monitor.
type Monitor interface {
	SetTenant(tenant string, alerts map[dispatcher.RouteID]health.Alert)
}

var (
	_ Engine  = (*dispatcher.Engine)(nil)
	_ Monitor = (*health.Monitor)(nil)
)

// Apply puts next in force in the place of previous, and closes the channels that nobody uses any more. Both are Sets
// of one tenant: that of Options.Tenant, whose all routes have to be. It returns the Set that is in force then, to be
// given to the next Apply and as Options.Previous:
//
//	set, err = config.Apply(ctx, engine, monitor, set, next)
//
// previous is nil if the tenant has no routes yet, and next if it is to have none any more. m is nil where nobody
// monitors the Engine. What waits for a route that is removed stays in its lane; see dispatcher.Engine.Purge.
//
// After an error of the Engine previous stays in force, and next is closed. But when ctx is done while channels of
// previous still send, next is in force, and the error is an *dispatcher.InUseError: what is in use stays open, and the
// Set that is returned, which is not nil then, closes it in a later Apply, or when it is closed itself. Another error
// says that channels could not be closed properly.
//
// Other tenants' routes are not touched, and their sends are not waited for. Calls for different tenants may overlap.
func Apply(ctx context.Context, e Engine, m Monitor, previous, next *Set) (*Set, error) {
	switch {
	case previous == nil && next == nil:
		return nil, nil //nolint:nilnil // there is nothing to do
	case previous != nil && next != nil && previous.tenant != next.tenant:
		wrong := newError(position{}, "", channel.CodeConflict, "is for another tenant than the Set that it is to replace", "apply the Sets of each tenant by themselves")
		return previous, errors.Join(wrong, next.Close())
	}
	inForce := next
	if next == nil {
		inForce = &Set{tenant: previous.tenant}
	}
	err := e.SetTenant(ctx, inForce.tenant, inForce.Routes)
	inUse, isInUse := errors.AsType[*dispatcher.InUseError](err)
	if err != nil && !isInUse {
		if next != nil && next != previous {
			err = errors.Join(err, next.Close())
		}
		return previous, err
	}
	if m != nil {
		m.SetTenant(inForce.tenant, inForce.Alerts)
	}
	var busy []dispatcher.RouteID
	if isInUse {
		busy = inUse.Routes
	}
	if previous != nil && previous != next {
		err = errors.Join(err, inForce.replace(previous, busy))
	}
	if next == nil && inForce.replaced == nil {
		inForce = nil
	}
	return inForce, err
}

// replacedChannel is one that may still be in use although its Set is not in force any more.
type replacedChannel struct {
	*sharedChannel
	routes []dispatcher.RouteID // that send through it
}

// replace closes previous but for what the busy routes may still use, which s takes over.
func (s *Set) replace(previous *Set, busy []dispatcher.RouteID) error {
	var errs []error
	for _, c := range previous.take() {
		if slices.ContainsFunc(c.routes, func(r dispatcher.RouteID) bool { return slices.Contains(busy, r) }) {
			s.replaced = append(s.replaced, c)
		} else {
			errs = append(errs, c.release())
		}
	}
	return errors.Join(errs...)
}

// take ends the use of a Set and returns what it has to close.
func (s *Set) take() []replacedChannel {
	if s.closed {
		return nil
	}
	s.closed = true
	users := map[string][]dispatcher.RouteID{}
	for _, m := range s.made {
		id := dispatcher.RouteID{Tenant: s.tenant, Name: m.source.text("name")}
		if t := m.source.get("tenant"); t != nil {
			id.Tenant = dataOf[string](t)
		}
		name := m.source.text("channel")
		users[name] = append(users[name], id)
	}
	all := s.replaced
	for _, c := range s.channels {
		all = append(all, replacedChannel{c, users[c.name]})
	}
	s.replaced = nil
	return all
}
