package dispatcher

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

// routeTable is the routes in use. It is immutable but for what it learns about types.
type routeTable struct {
	all      []*activeRoute // in the order configured
	byID     map[RouteID]*activeRoute
	byTenant map[string]*takers // of tenants that some route names
	others   *takers            // of every other tenant's events
}

// takers are the enabled routes that take the events of one tenant.
type takers struct {
	routes []*activeRoute
	mu     sync.Mutex // of learn
	byType atomic.Pointer[map[event.Type][]*activeRoute]
}

// maxIndexedTypes bounds what takers learn; for a host that invents types without end every filter is asked.
const maxIndexedTypes = 512

func newRouteTable(routes []*activeRoute) *routeTable {
	t := &routeTable{
		all: routes, byID: make(map[RouteID]*activeRoute, len(routes)), byTenant: map[string]*takers{}, others: newTakers(),
	}
	for _, r := range routes {
		t.byID[r.ID()] = r
		if r.Tenant != AnyTenant && t.byTenant[r.Tenant] == nil {
			t.byTenant[r.Tenant] = newTakers()
		}
	}
	for _, r := range routes {
		switch {
		case r.State == Disabled:
		case r.Tenant == AnyTenant:
			t.others.routes = append(t.others.routes, r)
			for _, of := range t.byTenant {
				of.routes = append(of.routes, r)
			}
		default:
			of := t.byTenant[r.Tenant]
			of.routes = append(of.routes, r)
		}
	}
	return t
}

func newTakers() *takers {
	t := &takers{}
	t.byType.Store(&map[event.Type][]*activeRoute{})
	return t
}

// takers lists the enabled routes that take events of e's tenant and type, if their filters want them.
func (t *routeTable) takers(e event.Event) []*activeRoute {
	of := t.byTenant[e.Tenant()]
	if of == nil {
		of = t.others
	}
	if routes, known := (*of.byType.Load())[e.Type()]; known {
		return routes
	}
	return of.learn(e.Type())
}

// learn asks all routes once about a type, so that those for other types cost an event nothing.
func (t *takers) learn(typ event.Type) []*activeRoute {
	var routes []*activeRoute
	for _, r := range t.routes {
		if r.Events.MatchType(typ) {
			routes = append(routes, r)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := *t.byType.Load(); len(known) < maxIndexedTypes {
		more := maps.Clone(known)
		more[typ] = routes
		t.byType.Store(&more)
	}
	return routes
}

// fallback finds the route that a fallback of a tenant's route names; nil = there is none.
func (t *routeTable) fallback(tenant, name string) *activeRoute {
	if r := t.byID[RouteID{Tenant: tenant, Name: name}]; r != nil {
		return r
	}
	return t.byID[RouteID{Tenant: AnyTenant, Name: name}]
}

// wanting lists the enabled routes that take e.
func (t *routeTable) wanting(e event.Event) []*activeRoute {
	return slices.DeleteFunc(slices.Clone(t.takers(e)), func(r *activeRoute) bool { return !r.wants(e) })
}

// whyUnrouted finds the nearest miss of an event that no route takes.
func (t *routeTable) whyUnrouted(e event.Event) Reason {
	reason := NoType
	for _, r := range t.all {
		if !r.wants(e) {
			continue
		}
		if r.takes(e.Tenant()) { // so it was not asked because it is disabled
			return NoState
		}
		reason = NoTenant
	}
	return reason
}

// SetRoutes replaces all routes. The change is atomic: each Dispatch sees the old set or the new one. Lanes go on under
// their RouteIDs, so a route that is in both sets keeps its backlog, and each of its later attempts uses its new values;
// the lane of a removed route holds what it has until a route of that RouteID returns or Purge empties it. A route whose
// destination was gone, or that was disabled for failing, is tried again, and one whose breaker is open, or whose
// receiver asked for no more requests, gets a probe at once.
//
// SetRoutes returns once the last send that any earlier set of routes began has returned, so the channels that are not
// in the new set can then be closed. When ctx is done first, the new routes are in force all the same, and an
// *InUseError names the routes whose previous channels still send; the next SetRoutes waits for those too. On joined
// *channel.ConfigErrors, ErrShutdown, or when another change takes until ctx is done (its error), nothing is changed.
// Do not call it from a channel or an observer: it would wait for itself.
func (e *Engine) SetRoutes(ctx context.Context, routes []Route) error {
	all, err := e.activate(routes)
	if err != nil {
		return err
	}
	replaced, err := e.replace(ctx, all)
	if err != nil {
		return err
	}
	var busy []RouteID
	for _, r := range replaced {
		if wait(ctx, r.idle) != nil {
			busy = append(busy, r.ID())
		}
	}
	e.removeLanes(ctx)
	if busy != nil {
		return &InUseError{Routes: slices.Compact(busy), Err: ctx.Err()}
	}
	return nil
}

func (e *Engine) replace(ctx context.Context, routes []*activeRoute) ([]*activeRoute, error) {
	if e.calls.isClosed() { // asked before the lock too, which Shutdown keeps while it drains
		return nil, ErrShutdown
	}
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.unlock()
	if e.calls.isClosed() {
		return nil, ErrShutdown
	}
	return e.install(routes)
}

// removeLanes closes the lanes of removed routes once nothing sends there any more. The queue keeps what they hold.
func (e *Engine) removeLanes(ctx context.Context) {
	if e.lock(ctx) != nil {
		return // the next change of routes does it
	}
	defer e.unlock()
	busy := map[*lane]bool{}
	e.replaced = slices.DeleteFunc(e.replaced, func(r *activeRoute) bool {
		if isDone(r.idle) {
			return true
		}
		busy[r.lane] = true
		return false
	})
	for id, l := range e.lanes {
		if l.current.Load() == nil && !busy[l] {
			_ = l.stop(ctx) // nothing sends there, so it does not wait
			delete(e.lanes, id)
		}
	}
}

// install puts routes in force and returns all replaced ones that may still send, in the order of their lanes' names. Called
// with admin held, or by New.
func (e *Engine) install(all []*activeRoute) ([]*activeRoute, error) {
	var opened []*lane
	kept := make(map[RouteID]bool, len(all))
	for _, r := range all {
		id := r.ID()
		kept[id] = true
		r.lane = e.lanes[id]
		if r.lane != nil {
			continue
		}
		r.lane = &lane{id: id, name: id.String(), engine: e}
		if e.running == nil {
			continue
		}
		// Opened before anything is changed, so an error leaves the old set in force.
		if err := r.lane.open(); err != nil {
			for _, l := range opened {
				_ = l.stop(context.Background()) // it has no route yet, so nothing runs
			}
			return nil, err
		}
		opened = append(opened, r.lane)
	}
	for _, r := range all {
		e.lanes[r.lane.id] = r.lane
		if previous := r.lane.install(r); previous != nil {
			e.replaced = append(e.replaced, previous)
		}
	}
	for id, l := range e.lanes {
		if !kept[id] {
			if previous := l.remove(); previous != nil {
				e.replaced = append(e.replaced, previous)
			}
		}
	}
	e.table.Store(newRouteTable(all))
	now := make([]Route, len(all))
	for i, r := range all {
		now[i] = r.Route
	}
	e.observers.notifyRoutes(now)
	slices.SortStableFunc(e.replaced, func(a, b *activeRoute) int { return cmp.Compare(a.lane.name, b.lane.name) })
	return slices.Clone(e.replaced), nil
}
