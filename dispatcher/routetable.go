package dispatcher

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

// routeTable is the routes in use, by tenant. It is immutable but for what it learns about types: a call sees one set
// of routes, whatever changes meanwhile. A change of one tenant's copies a part of the map.
type routeTable struct {
	seed     maphash.Seed
	platform *tenantRoutes // AnyTenant's
	parts    [tableParts]map[string]*tenantRoutes

	wantedBy typeIndex[[]string] // see tenantsWanting
}

// tableParts keeps what a change copies small with up to 100,000 tenants or so.
const tableParts = 512

func newRouteTable() *routeTable {
	return &routeTable{seed: maphash.MakeSeed(), platform: newTenantRoutes(AnyTenant, 0, nil)}
}

// with returns a table with other routes of some tenants, each of which may have none.
func (t *routeTable) with(others ...*tenantRoutes) *routeTable {
	changed := &routeTable{seed: t.seed, platform: t.platform, parts: t.parts}
	var copied [tableParts]bool
	for _, of := range others {
		if of.tenant == AnyTenant {
			changed.platform = of
		}
		i := t.part(of.tenant)
		if !copied[i] {
			copied[i], changed.parts[i] = true, make(map[string]*tenantRoutes, len(t.parts[i])+1)
			maps.Copy(changed.parts[i], t.parts[i])
		}
		if len(of.all) == 0 {
			delete(changed.parts[i], of.tenant)
		} else {
			changed.parts[i][of.tenant] = of
		}
	}
	return changed
}

// part says in which part a tenant is.
func (t *routeTable) part(tenant string) uint64 { return maphash.String(t.seed, tenant) % tableParts }

// of returns the routes of a tenant; nil = it has none.
func (t *routeTable) of(tenant string) *tenantRoutes { return t.parts[t.part(tenant)][tenant] }

// each iterates over the tenants that have routes, in no order.
func (t *routeTable) each(yield func(*tenantRoutes) bool) {
	for _, part := range t.parts {
		for _, of := range part {
			if !yield(of) {
				return
			}
		}
	}
}

// tenants lists the routes of all tenants, in the order in which the tenants got their first ones.
func (t *routeTable) tenants() []*tenantRoutes {
	return slices.SortedFunc(t.each, byPosition)
}

func byPosition(a, b *tenantRoutes) int { return a.position - b.position }

// selected lists what f selects, each route once.
func (t *routeTable) selected(f StatusFilter) []*activeRoute {
	var all []*activeRoute
	if f.Tenants == nil && f.Routes == nil {
		for _, of := range t.tenants() {
			all = append(all, of.all...)
		}
		return all
	}
	wanted := map[string]map[string]bool{} // names by tenant; nil = all of its routes
	for _, id := range f.Routes {
		if wanted[id.Tenant] == nil {
			wanted[id.Tenant] = map[string]bool{}
		}
		wanted[id.Tenant][id.Name] = true
	}
	for _, tenant := range f.Tenants {
		wanted[tenant] = nil
	}
	var tenants []*tenantRoutes
	for tenant := range wanted {
		if of := t.of(tenant); of != nil {
			tenants = append(tenants, of)
		}
	}
	slices.SortFunc(tenants, byPosition)
	for _, of := range tenants {
		names := wanted[of.tenant]
		for _, r := range of.all {
			if names == nil || names[r.Name] {
				all = append(all, r)
			}
		}
	}
	return all
}

// find returns the route of that identity; nil = there is none.
func (t *routeTable) find(id RouteID) *activeRoute {
	if of := t.of(id.Tenant); of != nil {
		return of.byName[id.Name]
	}
	return nil
}

// fallback finds the route that a fallback of a tenant's route names; nil = there is none.
func (t *routeTable) fallback(tenant, name string) *activeRoute {
	if r := t.find(RouteID{Tenant: tenant, Name: name}); r != nil {
		return r
	}
	return t.platform.byName[name]
}

// takers lists the enabled routes that take events of e's tenant and type, if their filters want them: those of the
// tenant, and those of AnyTenant.
func (t *routeTable) takers(e event.Event) (own, platform []*activeRoute) {
	if tenant := e.Tenant(); tenant != AnyTenant {
		if of := t.of(tenant); of != nil {
			own = of.takers(e.Type())
		}
	}
	return own, t.platform.takers(e.Type())
}

// wanting lists the enabled routes that take e.
func (t *routeTable) wanting(e event.Event) []*activeRoute {
	own, platform := t.takers(e)
	return slices.DeleteFunc(slices.Concat(own, platform), func(r *activeRoute) bool { return !r.wants(e) })
}

// whyUnrouted finds the nearest miss of an event that no route takes.
func (t *routeTable) whyUnrouted(e event.Event) Reason {
	for _, of := range [...]*tenantRoutes{t.of(e.Tenant()), t.platform} {
		if of != nil && slices.ContainsFunc(of.all, func(r *activeRoute) bool { return r.wants(e) }) {
			return NoState // it was not asked because it is disabled
		}
	}
	for _, tenant := range t.wantedBy.get(e.Type(), t.tenantsWanting) {
		if tenant != e.Tenant() && tenant != AnyTenant {
			return NoTenant
		}
	}
	return NoType
}

// tenantsWanting lists some tenants with a route whose filter wants a type: three, if there are as many, so that one of
// them is neither an event's own nor AnyTenant.
func (t *routeTable) tenantsWanting(typ event.Type) (some []string) {
	for of := range t.each {
		if slices.ContainsFunc(of.all, func(r *activeRoute) bool { return r.Events.MatchType(typ) }) {
			if some = append(some, of.tenant); len(some) == 3 {
				break
			}
		}
	}
	return some
}

// tenantRoutes is the routes of one tenant. It is immutable but for what it learns about types.
type tenantRoutes struct {
	tenant   string
	position int            // among the tenants
	all      []*activeRoute // in the order configured
	byName   map[string]*activeRoute
	enabled  []*activeRoute // those that are not Disabled, in the same order
	byType   typeIndex[[]*activeRoute]
}

func newTenantRoutes(tenant string, position int, all []*activeRoute) *tenantRoutes {
	t := &tenantRoutes{tenant: tenant, position: position, all: all, byName: make(map[string]*activeRoute, len(all))}
	for _, r := range all {
		t.byName[r.Name] = r
		if r.State != Disabled {
			t.enabled = append(t.enabled, r)
		}
	}
	return t
}

// fewRoutes are asked about each event, which costs less than to remember the answer for each type.
const fewRoutes = 4

// takers lists the enabled routes that want events of a type, if their filters want the event.
func (t *tenantRoutes) takers(typ event.Type) []*activeRoute {
	if len(t.enabled) <= fewRoutes {
		return t.enabled
	}
	return t.byType.get(typ, func(typ event.Type) []*activeRoute {
		var routes []*activeRoute
		for _, r := range t.enabled {
			if r.Events.MatchType(typ) {
				routes = append(routes, r)
			}
		}
		return routes
	})
}

// typeIndex remembers what is known about types of events.
type typeIndex[T any] struct {
	mu    sync.Mutex // of writing
	known atomic.Pointer[map[event.Type]T]
}

// maxIndexedTypes bounds what is remembered; for a host that invents types without end every filter is asked.
const maxIndexedTypes = 512

// get returns what is known about a type, and finds it out first if need be.
func (x *typeIndex[T]) get(typ event.Type, find func(event.Type) T) T {
	known := x.known.Load()
	if known != nil {
		if found, ok := (*known)[typ]; ok {
			return found
		}
	}
	found := find(typ)
	x.mu.Lock()
	defer x.mu.Unlock()
	more := map[event.Type]T{}
	if known = x.known.Load(); known != nil {
		if len(*known) >= maxIndexedTypes {
			return found
		}
		maps.Copy(more, *known)
	}
	more[typ] = found
	x.known.Store(&more)
	return found
}
