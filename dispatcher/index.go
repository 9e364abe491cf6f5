package dispatcher

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

// maxIndexedTypes bounds what an index remembers; a host that invents types without end is served by the filters alone.
const maxIndexedTypes = 512

// index finds the routes an event may be for without asking every one: first by tenant, then by type. It is immutable
// but for what it learns about types.
type index struct {
	routes  []*bound           // all, in the order configured
	named   map[string]*bound  // all, by name
	tenants map[string]*tenant // those some route names
	others  *tenant            // every other tenant: the routes for any
}

// tenant holds the enabled routes that take one tenant's events.
type tenant struct {
	routes []*bound
	mu     sync.Mutex
	types  atomic.Pointer[map[event.Type][]*bound]
}

func newIndex(routes []*bound) *index {
	x := &index{routes: routes, named: make(map[string]*bound, len(routes)), tenants: map[string]*tenant{}, others: newTenant()}
	for _, b := range routes {
		x.named[b.Name] = b
		if b.Tenant != AnyTenant && x.tenants[b.Tenant] == nil {
			x.tenants[b.Tenant] = newTenant()
		}
	}
	for _, b := range routes {
		switch {
		case b.State == Disabled:
		case b.Tenant == AnyTenant:
			x.others.routes = append(x.others.routes, b)
			for _, t := range x.tenants {
				t.routes = append(t.routes, b)
			}
		default:
			t := x.tenants[b.Tenant]
			t.routes = append(t.routes, b)
		}
	}
	return x
}

func newTenant() *tenant {
	t := &tenant{}
	t.types.Store(&map[event.Type][]*bound{})
	return t
}

// candidates returns the enabled routes whose tenant fits and whose filter may match the type; the filter decides. One
// that e is about is not among them.
func (x *index) candidates(e event.Event) []*bound {
	t := x.tenants[e.Tenant()]
	if t == nil {
		t = x.others
	}
	found, ok := (*t.types.Load())[e.Type()]
	if !ok {
		found = t.learn(e.Type())
	}
	if isOwn(e) {
		return slices.DeleteFunc(slices.Clone(found), func(b *bound) bool { return b.isAbout(e) })
	}
	return found
}

func (t *tenant) learn(typ event.Type) []*bound {
	var found []*bound
	for _, b := range t.routes {
		if b.Events.MatchType(typ) {
			found = append(found, b)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := *t.types.Load(); len(known) < maxIndexedTypes {
		more := maps.Clone(known)
		more[typ] = found
		t.types.Store(&more)
	}
	return found
}
