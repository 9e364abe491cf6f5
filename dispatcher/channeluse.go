package dispatcher

import (
	"context"
	"reflect"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// channelUse is which routes use a Channel. Engine.admin guards it.
type channelUse struct {
	channel channel.Channel
	routes  int            // in force
	busy    []*activeRoute // replaced or removed, but still sending
	tenant  string         // whose change of routes replaced the last one in force
}

// sameValue reports whether two values are equal, and comparable at all.
func sameValue(a, b any) bool { return isComparable(a) && isComparable(b) && a == b }

func isComparable(v any) bool { return reflect.ValueOf(v).Comparable() }

// acquireChannel adds a route in force to those that use its Channel. A Channel that is not comparable has one user.
func (e *Engine) acquireChannel(c channel.Channel) *channelUse {
	if !sameValue(c, c) { // also one that does not equal itself
		return &channelUse{routes: 1}
	}
	u := e.uses[c]
	if u == nil {
		u = &channelUse{channel: c}
		e.uses[c] = u
	}
	u.routes++
	delete(e.unused, u)
	return u
}

// retire notes that a route is not in force any more. Called with admin held.
func (e *Engine) retire(ctx context.Context, r *activeRoute) {
	u := r.use
	u.routes--
	if u.routes == 0 {
		u.tenant = r.Tenant
		e.unused[u] = struct{}{}
	}
	if !isDone(r.idle) {
		u.busy = append(u.busy, r)
		r.lane.busy++
	}
	e.forget(ctx, r)
}

// forget removes what nobody needs any more of a route that is not in force. The queue keeps what its lane holds.
// Called with admin held.
func (e *Engine) forget(ctx context.Context, r *activeRoute) {
	u, l := r.use, r.lane
	if i := slices.Index(u.busy, r); i >= 0 && isDone(r.idle) {
		u.busy = slices.Delete(u.busy, i, i+1)
		l.busy--
	}
	if u.routes == 0 && len(u.busy) == 0 {
		delete(e.unused, u)
		delete(e.uses, u.channel)
	}
	if l.current.Load() == nil && l.busy == 0 && e.lanes[l.id] == l {
		_ = l.stop(ctx) // nothing sends there, so it does not wait
		delete(e.lanes, l.id)
	}
}

// forgetIdle forgets a route whose last send has returned after it was replaced.
func (e *Engine) forgetIdle(r *activeRoute) {
	e.admin <- struct{}{}
	defer e.unlock()
	ctx, cancel := context.WithTimeout(context.Background(), queue.StopGrace)
	defer cancel()
	e.forget(ctx, r)
}

// stillUsed lists the routes that send through Channels which no route in force uses any more, since a change of the
// routes in this scope. Called with admin held.
func (e *Engine) stillUsed(of scope) []*activeRoute {
	var all []*activeRoute
	for u := range e.unused {
		if of.covers(u.tenant) {
			all = append(all, u.busy...)
		}
	}
	return all
}
