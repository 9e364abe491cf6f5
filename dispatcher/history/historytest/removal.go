package historytest

import (
	"errors"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

func pruneAgeRule(p *probe) {
	p.append(entry(1), entry(9), entry(2), entry(5))
	p.prune(history.Retention{}, 0)
	p.prune(history.Retention{Before: after(2)}, 1)
	p.expect("after Prune at the second one's time", p.all(), 5, 2, 9)
	p.prune(history.Retention{Before: after(6)}, 2)
	p.expect("after Prune", p.all(), 9)
	p.prune(history.Retention{Before: after(6)}, 0)
}

func pruneCountRule(p *probe) {
	p.append(entries(10)...)
	p.prune(history.Retention{Entries: -1, TenantEntries: -1, TenantBytes: -1}, 0)
	p.prune(history.Retention{Entries: 10}, 0)
	p.prune(history.Retention{Entries: 4}, 6)
	p.expect("after Prune", p.all(), 10, 9, 8, 7)
	p.prune(history.Retention{Before: after(9), Entries: 1}, 3)
	p.expect("after Prune by both", p.all(), 10)
}

func pruneTenantRule(p *probe) {
	p.append(of("a", 1, 8)...)
	p.append(of("b", 11, 13)...)
	p.append(of("", 21, 24)...)
	p.append(of(dispatcher.AnyTenant, 31, 35)...)
	other := of("a", 9, 10)
	other[0].Route.Name, other[1].Route.Name = "s", "s" // the tenant is what counts, not the route
	p.append(other...)
	p.prune(history.Retention{TenantEntries: 10}, 0)
	p.prune(history.Retention{TenantEntries: 4}, 7)
	p.expect("after Prune by entries", p.all(), 10, 9, 35, 34, 33, 32, 24, 23, 22, 21, 13, 12, 11, 8, 7)

	large := of("b", 14, 15)
	large[0].Response = &channel.Message{Body: make([]byte, 10_000)}
	p.append(large...)
	p.prune(history.Retention{TenantBytes: 10 * large[1].Size()}, 4)
	p.expect("after Prune by bytes", p.query(history.Query{Tenant: "b"}), 15)
	two := entry(24).Size() + entry(23).Size()
	p.prune(history.Retention{TenantBytes: two}, 6)
	p.expect("what has just the bytes", p.query(history.Query{}), 24, 23)
	p.append(of("", 25, 25)...)
	p.prune(history.Retention{TenantBytes: two - 1, TenantEntries: 2}, 3)
	p.expect("after Prune by both", p.query(history.Query{}), 25)
}

func pruneFairRule(p *probe) {
	p.append(of("quiet", 1, 2)...)
	p.append(of("a", 11, 14)...)
	p.append(of("flood", 101, 150)...)
	p.append(of("b", 21, 24)...)
	p.prune(history.Retention{Entries: 20}, 40)
	p.expect("the flood, after Prune", p.query(history.Query{Tenant: "flood", Limit: 2}), 150, 149)
	kept := func(tenants ...string) (all []int) {
		for _, t := range tenants {
			all = append(all, len(p.query(history.Query{Tenant: t})))
		}
		return all
	}
	if got := kept("quiet", "a", "b", "flood"); !slices.Equal(got, []int{2, 4, 4, 10}) {
		p.fail("of 20 entries the tenants with 2, 4, 4 and 50 have %v", got)
	}
	p.prune(history.Retention{Entries: 9}, 11)
	got := kept("a", "b", "flood")
	slices.Sort(got)
	if quiet := kept("quiet"); quiet[0] != 2 || !slices.Equal(got, []int{2, 2, 3}) {
		p.fail("of 9 entries the tenants with 2, 4, 4 and 10 have %v and %v", quiet, got)
	}
	p.expect("the newest", p.query(history.Query{Tenant: "a", Limit: 2}), 14, 13)
	p.prune(history.Retention{Entries: 4}, 5)
	p.prune(history.Retention{Entries: 3}, 1) // of four that have one each
	if got := len(p.all()); got != 3 {
		p.fail("%d entries are left, want 3", got)
	}
}

func removeRule(p *probe) {
	fill := func() {
		p.append(of("a", 1, 2)...)
		p.append(of("", 3, 3)...)
		p.append(of(dispatcher.AnyTenant, 4, 4)...)
		p.append(of("A", 5, 5)...)
		other := of("a", 6, 6)
		other[0].Route.Name = "s"
		p.append(other...)
	}
	fill()
	p.remove(dispatcher.RouteID{Tenant: "b"}, 0)
	p.remove(dispatcher.RouteID{Tenant: "a", Name: "x"}, 0)
	p.remove(dispatcher.RouteID{Tenant: "a", Name: "r"}, 2)
	p.expect("without a route", p.all(), 6, 5, 4, 3)
	p.remove(dispatcher.RouteID{Tenant: "a"}, 1)
	p.expect("without a tenant", p.all(), 5, 4, 3)
	p.remove(dispatcher.RouteID{Tenant: dispatcher.AnyTenant}, 1)
	p.expect("without the routes of the platform", p.all(), 5, 3)
	p.remove(dispatcher.RouteID{}, 1)
	p.expect("without the routes of no tenant", p.all(), 5)
	fill()
	p.expect("afterwards", p.query(history.Query{Tenant: "a"}), 6, 2, 1)
	p.prune(history.Retention{TenantEntries: 2}, 1)
	p.expect("what is left counts, and what is gone does not", p.query(history.Query{Tenant: "a"}), 6, 2)
}

func totalsRule(p *probe) {
	p.append(varied()...) // delivered but for 5 failed, 6 dead and 7 postponed
	skipped := of("a", 3, 4)
	skipped[0].Outcome, skipped[1].Outcome = dispatcher.Skipped, "unknown"
	p.append(skipped...)
	for _, t := range []struct {
		what string
		q    history.Query
		want []history.Total
	}{
		{"by threes", history.Query{Since: after(1), Until: after(9)}, []history.Total{{Delivered: 3}, {Delivered: 1, Failed: 1, Dead: 1}, {Delivered: 1, Postponed: 1}}},
		{"a route", history.Query{Since: after(1), Until: after(5), Route: named("other")}, []history.Total{{Delivered: 1}, {}}},
		{"a tenant", history.Query{Since: after(1), Until: after(4).Add(1), Tenant: "a"}, []history.Total{{Skipped: 1}, {}}},
		{"every tenant", history.Query{Since: after(3), Until: after(5), Tenant: dispatcher.AnyTenant}, []history.Total{{Delivered: 2, Skipped: 1}}},
		{"an outcome", history.Query{Since: after(5), Until: after(8), Outcomes: []dispatcher.Outcome{dispatcher.Dead}, Limit: 1}, []history.Total{{Dead: 1}}},
		{"before anything", history.Query{Since: began().Add(-time.Hour), Until: began().Add(-time.Hour + 1)}, []history.Total{{}}},
		{"no time at all", history.Query{Since: after(5), Until: after(5)}, []history.Total{}},
	} {
		if got := p.totals(t.q, 3*time.Second); !slices.Equal(got, t.want) {
			p.fail("totals of %s: got %+v, want %+v", t.what, got, t.want)
		}
	}
	for what, q := range map[string]history.Query{"no beginning": {Until: after(9)}, "no end": {Since: after(1)}, "too many steps": {Since: began(), Until: began().Add(time.Hour)}} {
		if _, err := p.store.Totals(p.ctx, q, time.Second); !isSpanError(err) {
			p.fail("totals with %s: %v, want a *SpanError", what, err)
		}
	}
	if _, err := p.store.Totals(p.ctx, history.Query{Since: began(), Until: after(1)}, 0); !isSpanError(err) {
		p.fail("totals without a step: %v, want a *SpanError", err)
	}
}

func isSpanError(err error) bool {
	_, ok := errors.AsType[*history.SpanError](err)
	return ok
}
