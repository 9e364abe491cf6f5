package historytest

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

func (n *naive) Prune(ctx context.Context, r history.Retention) (int, error) {
	if ctx.Err() != nil && !n.is("Prune ignores ctx") {
		return 0, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.entries)
	if n.is("Prune does nothing") {
		return 0, nil
	}
	n.pruneAge(r.Before)
	if !n.is("ignores TenantEntries") {
		n.pruneTenants(func(entries int, _ int64) bool { return r.TenantEntries > 0 && entries > r.TenantEntries })
	}
	if !n.is("ignores TenantBytes") {
		n.pruneTenants(func(_ int, bytes int64) bool {
			return r.TenantBytes > 0 && (bytes > r.TenantBytes || n.is("bytes to the limit") && bytes == r.TenantBytes)
		})
	}
	for r.Entries > 0 && len(n.entries) > r.Entries && !n.is("keeps any number") {
		if n.is("takes nothing from those with one") && len(n.entries) == len(n.tenants()) {
			break
		}
		n.drop(n.loser())
	}
	if n.is("counts Seq anew") && len(n.entries) == 0 {
		n.seq = 0
	}
	if n.is("miscounts") {
		return len(n.entries), nil
	}
	return before - len(n.entries), nil
}

func (n *naive) pruneAge(before time.Time) {
	var left []history.Entry
	for i, e := range n.entries {
		if !e.Time.Before(before) && (!n.is("removes what is just old enough") || e.Time.After(before)) ||
			n.is("stops at the first young one") && i > 0 && len(left) > 0 {
			left = append(left, e)
		}
	}
	n.entries = left
}

// pruneTenants removes each tenant's oldest as long as it has too much.
func (n *naive) pruneTenants(tooMuch func(entries int, bytes int64) bool) {
	for i := 0; i < len(n.entries); {
		entries, bytes := 0, int64(0)
		for _, e := range n.entries {
			if n.owner(e) == n.owner(n.entries[i]) {
				entries, bytes = entries+1, bytes+e.Size()
				if n.is("counts events once") {
					bytes -= int64(len(e.Event.JSON()))
				}
			}
		}
		switch {
		case n.is("does not limit the platform's") && n.entries[i].Route.Tenant == dispatcher.AnyTenant:
			i++
		case tooMuch(entries, bytes):
			n.drop(i)
		default:
			i++
		}
	}
}

// owner is whose entry e is.
func (n *naive) owner(e history.Entry) string {
	if n.is("limits routes") {
		return e.Route.String()
	}
	return e.Route.Tenant
}

// loser is the place of the entry that goes next when there are too many.
func (n *naive) loser() int {
	if n.is("keeps the oldest") {
		return len(n.entries) - 1
	}
	if n.is("the flood stays") {
		return 0
	}
	most := n.tenants()
	return slices.IndexFunc(n.entries, func(e history.Entry) bool {
		for _, other := range most {
			if other > most[e.Route.Tenant] {
				return false
			}
		}
		return true
	})
}

// tenants returns how many entries each has.
func (n *naive) tenants() map[string]int {
	all := map[string]int{}
	for _, e := range n.entries {
		all[e.Route.Tenant]++
	}
	return all
}

func (n *naive) drop(i int) { n.entries = append(n.entries[:i:i], n.entries[i+1:]...) }

func (n *naive) Remove(ctx context.Context, of dispatcher.RouteID) (int, error) {
	if ctx.Err() != nil && !n.is("Remove ignores ctx") {
		return 0, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.entries)
	if n.is("Remove does nothing") {
		return 0, nil
	}
	n.entries = slices.DeleteFunc(slices.Clone(n.entries), func(e history.Entry) bool {
		everybody := n.is("Remove by AnyTenant is everybody") && of.Tenant == dispatcher.AnyTenant
		return (e.Route.Tenant == of.Tenant || everybody) && (of.Name == "" || e.Route.Name == of.Name || n.is("Remove takes the tenant along"))
	})
	return before - len(n.entries), nil
}

func (n *naive) Totals(ctx context.Context, q history.Query, step time.Duration) ([]history.Total, error) {
	all, err := q.Spans(step)
	switch {
	case err != nil && n.is("totals without end"):
		return nil, nil
	case err != nil:
		return nil, err
	case ctx.Err() != nil && !n.is("Totals ignores ctx"):
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	counted := 0
	for _, e := range n.entries {
		place := e.Time.Sub(q.Since) / step
		if n.is("totals to the nearest step") {
			place = min(e.Time.Sub(q.Since).Round(step)/step, max(time.Duration(len(all))-1, 0))
		}
		if n.is("totals of the outcome failed only") && e.Outcome == dispatcher.Dead {
			e.Outcome = dispatcher.Failed
		}
		if n.is("totals of a page") && counted >= q.Max() {
			break
		}
		if q.Match(e) {
			counted++
			all[place].Add(string(e.Outcome), 1)
		}
	}
	return all, nil
}
