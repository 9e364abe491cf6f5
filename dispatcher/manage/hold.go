package manage

import (
	"context"
	"fmt"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// heldRoute is the name of the route that keeps a tenant's events while its document cannot be read and no earlier one
// is in force. Once one is, the events are dispatched again, to its routes.
const heldRoute = "events of an unreadable configuration"

// keepEvents holds a tenant's events if nothing is in force for them. It reports whether they are held.
func (s *Service) keepEvents(ctx context.Context, tenant string, v *view) bool {
	if v.set != nil || v.held {
		return v.held
	}
	err := s.hold(context.WithoutCancel(ctx), tenant) // also after a call that took too long
	if err != nil {
		s.options.Logger.Error("tocsin: events of an unreadable configuration cannot be held", "tenant", tenant, "error", err)
	}
	return err == nil
}

// hold makes that route the tenant's only one.
func (s *Service) hold(ctx context.Context, tenant string) error {
	return s.engine.SetTenant(ctx, tenant, []dispatcher.Route{{
		Name: heldRoute, Tenant: tenant, State: dispatcher.Paused, MaxAge: -1, Channel: &redispatch{s.engine},
	}})
}

// isHeld reports whether an earlier process has held events of a tenant that are there still.
func (s *Service) isHeld(ctx context.Context, tenant string) bool {
	q := s.options.Engine.Queue
	if q == nil || !q.Properties().Durable || !q.Properties().Inspection {
		return false
	}
	n, err := q.Count(ctx, dispatcher.RouteID{Tenant: tenant, Name: heldRoute}.String())
	return err == nil && n.Waiting() > 0
}

// redispatch gives events to the routes that there are by now.
type redispatch struct{ to dispatcher.Dispatcher }

var _ channel.Channel = (*redispatch)(nil)

// Send dispatches the event.
func (r *redispatch) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if err := r.to.Dispatch(ctx, d.Event); err != nil {
		return channel.Receipt{}, retry.Postpone(fmt.Errorf("dispatch again: %w", err), 0)
	}
	return channel.Receipt{}, nil
}

// inForce puts a Set in force in the place of the one of v, beside the route for held events if there is one: that
// takes no more of them, and gives away what it has, once the others are there to get it.
func (s *Service) inForce(ctx context.Context, r *room, v *view, next *config.Set) (*config.Set, error) {
	if !v.held || next == nil {
		return s.apply(ctx, s.engine, v, next)
	}
	e := beside{s.engine, dispatcher.Route{
		Name: heldRoute, Tenant: r.tenant, MaxAge: -1, Channel: &redispatch{s.engine}, State: dispatcher.Paused,
		Events: event.Where(func(event.Event) bool { return false }),
	}}
	set, err := s.apply(ctx, e, v, next)
	if err != nil {
		return set, err
	}
	e.route.State = dispatcher.Enabled
	if err := e.SetTenant(context.WithoutCancel(ctx), r.tenant, next.Routes); err != nil {
		s.options.Logger.Error("tocsin: held events are not given away", "tenant", r.tenant, "error", err)
	}
	return set, nil
}

// beside is an Engine that has one route of a tenant more.
type beside struct {
	*dispatcher.Engine

	route dispatcher.Route
}

// SetTenant implements config.Engine.
func (b beside) SetTenant(ctx context.Context, tenant string, routes []dispatcher.Route) error {
	return b.Engine.SetTenant(ctx, tenant, append(append([]dispatcher.Route{}, routes...), b.route))
}

// endHold removes the route for held events once it has given away all of them. Called with the room's lock held.
func (s *Service) endHold(ctx context.Context, r *room) {
	v := r.view.Load()
	if !v.held || v.set == nil {
		return
	}
	id := dispatcher.RouteID{Tenant: r.tenant, Name: heldRoute}
	found, err := s.engine.Status(ctx, dispatcher.StatusFilter{Routes: []dispatcher.RouteID{id}})
	if err != nil || len(found) == 1 && found[0].Queued+found[0].InFlight != 0 {
		return
	}
	if s.engine.SetTenant(ctx, r.tenant, v.set.Routes) == nil {
		next := *v
		next.held = false
		r.show(&next)
	}
}
