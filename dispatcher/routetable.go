package dispatcher

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

// routeTable is the routes in use, by tenant. It is immutable but for what it learns about types. A change of one
// tenant's routes copies two small arrays and a map of a few tenants, however many there are.
type routeTable struct {
	seed     maphash.Seed
	platform *tenantRoutes // AnyTenant's
	parts    [tableWidth]*tablePart

	wantedBy typeIndex[[]string] // see tenantsWanting
}

type tablePart [tableWidth]map[string]*tenantRoutes

const tableWidth = 64

func newRouteTable() *routeTable {
	return &routeTable{seed: maphash.MakeSeed(), platform: newTenantRoutes(AnyTenant, 0, nil)}
}

// with returns a table with other routes of one tenant, which may be none.
func (t *routeTable) with(of *tenantRoutes) *routeTable {
	changed := &routeTable{seed: t.seed, platform: t.platform, parts: t.parts}
	if of.tenant == AnyTenant {
		changed.platform = of
	}
	i, j := t.place(of.tenant)
	part := new(tablePart)
	if t.parts[i] != nil {
		*part = *t.parts[i]
	}
	changed.parts[i] = part
	part[j] = maps.Clone(part[j])
	switch {
	case len(of.all) == 0:
		delete(part[j], of.tenant)
	case part[j] == nil:
		part[j] = map[string]*tenantRoutes{of.tenant: of}
	default:
		part[j][of.tenant] = of
	}
	return changed
}

// place says in which part, and where in it, a tenant is.
func (t *routeTable) place(tenant string) (i, j int) {
	sum := maphash.String(t.seed, tenant)
	return int(sum % tableWidth), int(sum / tableWidth % tableWidth)
}

// of returns the routes of a tenant; nil = it has none.
func (t *routeTable) of(tenant string) *tenantRoutes {
	i, j := t.place(tenant)
	if t.parts[i] == nil {
		return nil
	}
	return t.parts[i][j][tenant]
}

// each iterates over the tenants that have routes, in no order.
func (t *routeTable) each(yield func(*tenantRoutes) bool) {
	for _, part := range t.parts {
		if part == nil {
			continue
		}
		for _, slot := range part {
			for _, of := range slot {
				if !yield(of) {
					return
				}
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
