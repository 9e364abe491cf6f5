package dispatcher

import (
	"cmp"
	"context"
	"slices"
)

// SetRoutes replaces all routes. The change is atomic: each Dispatch sees the old set or the new one. Lanes go on under
// their names, so a route that is in both sets keeps its backlog, and each of its later attempts uses its new values;
// the lane of a removed route holds what it has until a route of that name returns or Purge empties it. A route whose
// destination was gone, or that was given up, is tried again, and one whose breaker is open, or whose receiver asked
// for quiet, gets a probe at once. A name that passes to another tenant begins anew: what waits there for the other one
// dies, and nothing of that is reported under the new tenant.
//
// SetRoutes returns once the last send that any earlier set of routes began has returned, so the channels that are not
// in the new set can then be closed. When ctx is done first, the new routes are in force all the same, and an
// *InUseError names the routes whose previous channels still send; the next SetRoutes waits for those too. On joined
// *channel.ConfigErrors, ErrShutdown, or when another change takes until ctx is done (its error), nothing is changed. Do not
// call it from a channel or an observer: it would wait for itself.
func (e *Engine) SetRoutes(ctx context.Context, routes []Route) error {
	all, err := e.bind(routes)
	if err != nil {
		return err
	}
	replaced, err := e.replace(ctx, all)
	if err != nil {
		return err
	}
	var busy []string
	for _, b := range replaced {
		if wait(ctx, b.idle) != nil {
			busy = append(busy, b.Name)
		}
	}
	e.forget(ctx)
	if busy != nil {
		return &InUseError{Routes: slices.Compact(busy), Err: ctx.Err()}
	}
	return nil
}

func (e *Engine) replace(ctx context.Context, routes []*bound) ([]*bound, error) {
	if e.accept.isClosed() { // asked before the lock too, which Shutdown keeps while it drains
		return nil, ErrShutdown
	}
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.unlock()
	if e.accept.isClosed() {
		return nil, ErrShutdown
	}
	return e.install(routes)
}

// forget closes the lanes of removed routes once nothing sends there any more. The queue keeps what they hold.
func (e *Engine) forget(ctx context.Context) {
	if e.lock(ctx) != nil {
		return // the next change of routes does it
	}
	defer e.unlock()
	e.replaced = slices.DeleteFunc(e.replaced, (*bound).isIdle)
	busy := make(map[*lane]bool, len(e.replaced))
	for _, b := range e.replaced {
		busy[b.lane] = true
	}
	for name, l := range e.lanes {
		if l.current.Load() == nil && !busy[l] {
			_ = l.stop(ctx) // nothing sends there, so it does not wait
			delete(e.lanes, name)
		}
	}
}

// install puts routes in force and returns all replaced ones that may still send, in the order of their names. Called
// with admin held, or by New.
func (e *Engine) install(all []*bound) ([]*bound, error) {
	kept := make(map[string]bool, len(all))
	for _, b := range all {
		kept[b.Name] = true
		b.lane = e.lanes[b.Name]
		if b.lane == nil {
			b.lane = &lane{name: b.Name, engine: e}
		}
	}
	// Lanes that are new are opened before anything is changed, so an error leaves the old set in force.
	for i, b := range all {
		if e.running != nil && e.lanes[b.Name] == nil {
			if err := b.lane.open(); err != nil {
				for _, opened := range all[:i] {
					if e.lanes[opened.Name] == nil {
						_ = opened.lane.stop(context.Background()) // it has no route yet, so nothing runs
					}
				}
				return nil, err
			}
		}
	}
	for _, b := range all {
		e.lanes[b.Name] = b.lane
		if old := b.lane.install(b); old != nil {
			e.replaced = append(e.replaced, old)
		}
	}
	for name, l := range e.lanes {
		if !kept[name] {
			if old := l.remove(); old != nil {
				e.replaced = append(e.replaced, old)
			}
		}
	}
	e.index.Store(newIndex(all))
	if len(e.observers.routes.all) > 0 {
		now := make([]Route, len(all))
		for i, b := range all {
			now[i] = b.Route
		}
		e.observers.routes.notify(&now)
	}
	slices.SortStableFunc(e.replaced, func(a, b *bound) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Clone(e.replaced), nil
}
