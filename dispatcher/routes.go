package dispatcher

import (
	"cmp"
	"context"
	"slices"
)

// SetRoutes replaces the routes of all tenants. Each Dispatch sees the old set or the new one. An event is queued for
// its tenant's routes in the order given, and then for AnyTenant's in theirs.
//
// Only what differs is touched. A route that is equal to the one in force goes on as if nothing had happened. One whose
// Channel is the same value, as == says, has the same destination: its counters, its pace, an open breaker, and whether
// the destination is gone or was disabled for failing go on, and its later attempts use its new values. Another value
// is another destination, about which nothing is known; so is a Channel that is not comparable, in each change. A
// destination gets another try at once when a change sets the route's State from Disabled or Paused to Enabled.
//
// Lanes go on under their RouteIDs, so a route that is in both sets keeps its backlog; the lane of a removed route
// holds what it has until a route of that RouteID returns or Purge empties it.
//
// SetRoutes returns once the last send through a Channel that no route uses any more has returned: such a Channel can
// then be closed. When ctx is done first, the new routes are in force all the same, and an *InUseError names the routes
// that still send; the next change waits for those too. On joined *channel.ConfigErrors, ErrShutdown, or when another
// change takes until ctx is done (its error), nothing is changed. Do not call it from a channel or an observer: it
// would wait for itself.
func (e *Engine) SetRoutes(ctx context.Context, routes []Route) error {
	return e.change(ctx, routes, scope{all: true})
}

// SetTenant replaces the routes of one tenant as SetRoutes does those of all: each Dispatch sees, for each tenant, the
// old set or the new one. All the routes have to be of that tenant, which may be "" or AnyTenant. What it costs is in
// proportion to that tenant's routes, and it waits for no Channel that only other tenants' changes have left. So any
// number of tenants may change at the same time. A Fallback may name a route of AnyTenant that is in force; one that is
// removed later leaves the dead delivery where it is, which is logged.
func (e *Engine) SetTenant(ctx context.Context, tenant string, routes []Route) error {
	return e.change(ctx, routes, scope{tenant: tenant})
}

// scope is whose routes a change replaces.
type scope struct {
	tenant string
	all    bool // every tenant's
}

func (s scope) covers(tenant string) bool { return s.all || s.tenant == tenant }

func (e *Engine) change(ctx context.Context, routes []Route, of scope) error {
	busy, err := e.replace(ctx, routes, of)
	if err != nil {
		return err
	}
	for _, r := range busy {
		_ = wait(ctx, r.idle)
	}
	return e.settleChange(ctx, busy)
}

// replace puts routes in force and returns the replaced ones to wait for.
func (e *Engine) replace(ctx context.Context, routes []Route, of scope) ([]*activeRoute, error) {
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
	p, err := e.plan(routes, of)
	if err != nil {
		return nil, err
	}
	e.install(ctx, p)
	return e.stillUsed(of), nil
}

// settleChange ends a change: it forgets the replaced routes that are idle, and reports those that are not.
func (e *Engine) settleChange(ctx context.Context, busy []*activeRoute) error {
	var sending []RouteID
	locked := len(busy) > 0 && e.lock(ctx) == nil // otherwise the last user of each does it
	for _, r := range busy {
		if !isDone(r.idle) {
			sending = append(sending, r.lane.id)
		} else if locked {
			e.forget(ctx, r)
		}
	}
	if locked {
		e.unlock()
	}
	if sending == nil {
		return nil
	}
	slices.SortFunc(sending, func(a, b RouteID) int { return cmp.Compare(a.String(), b.String()) })
	return &InUseError{Routes: slices.Compact(sending), Err: ctx.Err()}
}

// plan is a change of routes without a mistake in it, whose lanes are open.
type plan struct {
	tenants []*tenantRoutes // whose routes change, as they will be
	set     []*activeRoute  // added or changed
	removed []*activeRoute
}

// plan finds what a change has to do, and opens new lanes. After an error nothing is changed. Called with admin held,
// or by New.
func (e *Engine) plan(routes []Route, of scope) (*plan, error) {
	table := e.table.Load()
	all, err := e.activate(routes, of)
	if err != nil {
		return nil, err
	}
	byTenant := map[string][]*activeRoute{}
	var tenants []string // as they are given, and then those that lose their routes
	for _, r := range all {
		if byTenant[r.Tenant] == nil {
			tenants = append(tenants, r.Tenant)
		}
		byTenant[r.Tenant] = append(byTenant[r.Tenant], r)
	}
	if of.all {
		for _, before := range table.tenants() {
			if byTenant[before.tenant] == nil {
				tenants = append(tenants, before.tenant)
			}
		}
	} else {
		tenants = []string{of.tenant}
	}
	p := new(plan)
	for _, tenant := range tenants {
		e.planTenant(p, table.of(tenant), tenant, byTenant[tenant])
	}
	return p, e.prepareLanes(p.set)
}

// planTenant adds what changes for one tenant. before is nil if it has no routes yet.
func (e *Engine) planTenant(p *plan, before *tenantRoutes, tenant string, all []*activeRoute) {
	if before == nil {
		e.positions++
		before = newTenantRoutes(tenant, e.positions, nil)
	}
	if slices.Equal(before.all, all) {
		return
	}
	now := newTenantRoutes(tenant, before.position, all)
	p.tenants = append(p.tenants, now)
	for _, r := range all {
		if before.byName[r.Name] != r {
			p.set = append(p.set, r)
		}
	}
	for _, r := range before.all {
		if now.byName[r.Name] == nil {
			p.removed = append(p.removed, r)
		}
	}
}

// prepareLanes gives routes their lanes, open ones if the Engine runs.
func (e *Engine) prepareLanes(routes []*activeRoute) error {
	var opened []*lane
	for _, r := range routes {
		id := r.ID()
		if r.lane = e.lanes[id]; r.lane != nil {
			continue
		}
		r.lane = &lane{id: id, name: id.String(), engine: e}
		if e.running == nil {
			continue
		}
		if err := r.lane.open(); err != nil {
			for _, l := range opened {
				_ = l.stop(context.Background()) // it has no route yet, so nothing runs
			}
			return err
		}
		opened = append(opened, r.lane)
	}
	return nil
}

// install makes a planned change. Called with admin held, or by New.
func (e *Engine) install(ctx context.Context, p *plan) {
	var replaced []*activeRoute
	var done RouteChange
	for _, r := range p.set {
		r.use = e.acquireChannel(r.Channel) // all of them before any is released
	}
	for _, r := range p.set {
		e.lanes[r.lane.id] = r.lane
		done.Set = append(done.Set, r.Route)
		previous, retried := r.lane.install(r)
		if previous == nil {
			continue
		}
		replaced = append(replaced, previous)
		switch {
		case previous.use != r.use:
			done.Replaced = append(done.Replaced, r.lane.id)
		case retried:
			done.Retried = append(done.Retried, r.lane.id)
		}
	}
	for _, r := range p.removed {
		r.lane.remove()
		replaced, done.Removed = append(replaced, r), append(done.Removed, r.lane.id)
	}
	e.table.Store(e.table.Load().with(p.tenants...))
	for _, r := range replaced {
		e.retire(ctx, r)
	}
	if done.Set != nil || done.Removed != nil {
		e.observers.notifyRoutesChanged(done)
	}
}
