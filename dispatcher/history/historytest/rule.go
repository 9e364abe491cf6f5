package historytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// rule is one promise of history.Store.
type rule struct {
	name  string
	text  string
	check func(p *probe)
}

func rules() []rule {
	return []rule{
		{"order", "Append gives increasing Seqs from 1 on, whatever the entries' times and Seqs, and Query returns the newest first", orderRule},
		{"whole", "an entry comes back whole: times to the nanosecond, bytes of events and messages as they were", wholeRule},
		{"fields", "each field of a Query selects by itself, and they combine with and", fieldsRule},
		{"tenants", "the empty tenant selects routes without a tenant and nothing else; AnyTenant selects all", tenantsRule},
		{"limit", "a Query returns 100 entries unless it asks for another number, and never more than 1,000", limitRule},
		{"pages", "pages by Before show every entry once, also while others are appended and pruned", pagesRule},
		{"prune-age", "Prune removes the entries before a time, wherever they are, and says how many", pruneAgeRule},
		{"prune-count", "Prune keeps the newest of a number, and says how many it removed", pruneCountRule},
		{"prune-tenant", "Prune keeps the newest of a number and of a sum of sizes of each tenant, its AnyTenant routes being one", pruneTenantRule},
		{"prune-fair", "Prune takes from the tenant with the most entries, so that none gives way to one that has more", pruneFairRule},
		{"remove", "Remove removes a route's entries, or those of exactly one tenant, and says how many", removeRule},
		{"totals", "Totals counts what a Query selects, by outcome and step", totalsRule},
		{"seq", "a Seq is never given out twice, also when everything was pruned", seqRule},
		{"slice", "Append does not keep the caller's slice, and Query returns one of its own", sliceRule},
		{"context", "with ctx done a call returns ctx's error and changes nothing", contextRule},
		{"concurrent", "entries appended at once are all kept, each with a Seq of its own, those of one call in order", concurrentRule},
		{"random", "any combination of fields selects what Query.Match says", randomRule},
		{"reopen", "a durable store has its entries, and goes on with its Seqs, when it is opened again", reopenRule},
	}
}

func orderRule(p *probe) {
	if got := p.query(history.Query{Tenant: dispatcher.AnyTenant}); len(got) != 0 {
		p.fail("an empty store returned %d entries", len(got))
	}
	p.append()
	first, second, third := entry(1), entry(2), entry(3)
	first.Time, second.Seq, third.Seq = began().Add(time.Hour), 7, 7
	p.append(first, second)
	p.append(third)
	got := p.all()
	p.expect("all", got, 3, 2, 1)
	for i, e := range got {
		if e.Seq != int64(3-i) {
			p.fail("entry %d has Seq %d", 3-i, e.Seq)
		}
	}
}

// odd returns entries with every field set, and with strange text in each.
func odd() []history.Entry {
	const text = "<b>&amp;</b> quote \" ' ` \\ ; -- % _ * \x00 \t\n\r é e\u0301 \u202e 日本 \U0001F514 \uFFFD"
	full := history.Entry{
		Time: began(), Duration: 1234567 * time.Nanosecond, Route: dispatcher.RouteID{Tenant: "acme " + "é", Name: "r\u202e\"';--"}, Generation: 1<<62 + 1, Attempt: 1 << 30,
		Outcome: dispatcher.Failed, Verdict: "transient", Error: text, Reason: text, Next: 15 * time.Minute, Status: 503, ProviderID: text, OutcomeUnknown: true,
		Event: event.Must(fact{text}, event.Meta{ID: "odd-1", Subject: "s '\"", Source: "src", Tenant: "acme", Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), Attributes: map[string]string{"k": text}}),
		Request: &channel.Message{Start: "POST https://hooks.example", Header: http.Header{"X-A": {"1", "2"}, "Empty": {""}}, Body: []byte{0, 255, 1, '"'},
			Truncated: true},
		Response: &channel.Message{Start: text, Body: []byte(text)},
	}
	bare := history.Entry{Time: began(), Route: dispatcher.RouteID{Name: "r"}, Outcome: dispatcher.Dead, Event: event.Must(fact{}, event.Meta{ID: "odd-2", Time: began()})}
	nothing := full
	nothing.Request, nothing.Response = &channel.Message{}, nil
	past := bare
	past.Time = time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	big := bare
	big.Response = &channel.Message{Body: make([]byte, 64<<10)}
	return []history.Entry{full, bare, nothing, past, big}
}

func wholeRule(p *probe) {
	all := odd()
	p.append(all...)
	got := p.all()
	if len(got) != len(all) {
		p.fail("%d entries came back, want %d", len(got), len(all))
	}
	slices.Reverse(got)
	for i := range all {
		p.same(got[i], all[i])
	}
}

// varied returns entries that differ in what a Query can ask for.
func varied() []history.Entry {
	all := entries(8)
	all[1].Route.Name = "other"
	all[2].Event = event.Must(fact{}, event.Meta{ID: "e-3", Subject: "another"})
	all[3].Event = event.Must(other{}, event.Meta{ID: "e-4", Subject: "s"})
	all[4].Outcome, all[5].Outcome, all[6].Outcome = dispatcher.Failed, dispatcher.Dead, dispatcher.Postponed
	all[7].Status = 503
	return all
}

func fieldsRule(p *probe) {
	p.append(varied()...)
	for _, q := range []struct {
		what string
		q    history.Query
		want []int
	}{
		{"nothing", history.Query{}, []int{8, 7, 6, 5, 4, 3, 2, 1}},
		{"a route", history.Query{Route: named("other")}, []int{2}},
		{"part of a route's name", history.Query{Route: named("oth")}, nil},
		{"a pattern as a route", history.Query{Route: named("%")}, nil},
		{"a route in other letters", history.Query{Route: named("OTHER")}, nil},
		{"an event", history.Query{EventID: "e-5"}, []int{5}},
		{"a subject", history.Query{Subject: "another"}, []int{3}},
		{"a type", history.Query{Type: "historytest.other"}, []int{4}},
		{"an outcome", history.Query{Outcomes: []dispatcher.Outcome{dispatcher.Failed}}, []int{5}},
		{"some outcomes", history.Query{Outcomes: []dispatcher.Outcome{dispatcher.Dead, dispatcher.Failed, "unknown"}}, []int{6, 5}},
		{"a status", history.Query{Status: 503}, []int{8}},
		{"since a time", history.Query{Since: after(7)}, []int{8, 7}},
		{"since a nanosecond later", history.Query{Since: after(7).Add(1)}, []int{8}},
		{"until a time", history.Query{Until: after(2)}, []int{1}},
		{"until a nanosecond later", history.Query{Until: after(2).Add(1)}, []int{2, 1}},
		{"a range in another zone", history.Query{Since: after(2).In(time.FixedZone("", 7200)), Until: after(4)}, []int{3, 2}},
		{"one entry", history.Query{Seq: 6}, []int{6}},
		{"before an entry", history.Query{Before: 3}, []int{2, 1}},
		{"some", history.Query{Limit: 3}, []int{8, 7, 6}},
		{"many at once", history.Query{Route: named("r"), Subject: "s", Type: "historytest.fact", Outcomes: []dispatcher.Outcome{dispatcher.Delivered},
			Since: after(1), Until: after(9), Before: 8, Limit: 2}, []int{1}},
		{"what excludes each other", history.Query{Route: named("other"), EventID: "e-1"}, nil},
	} {
		p.expect(q.what, p.query(q.q), q.want...)
	}
}

func tenantsRule(p *probe) {
	all := entries(4)
	all[1].Route.Tenant, all[2].Route.Tenant = "a", dispatcher.AnyTenant
	all[3].Route.Tenant = "A"
	// The tenant is the route's, not the event's.
	all[0].Event = event.Must(fact{}, event.Meta{Tenant: "a"})
	p.append(all...)
	p.expect("no tenant", p.query(history.Query{}), 1)
	p.expect("tenant a", p.query(history.Query{Tenant: "a"}), 2)
	p.expect("tenant b", p.query(history.Query{Tenant: "b"}))
	p.expect("every tenant", p.query(history.Query{Tenant: dispatcher.AnyTenant}), 4, 3, 2, 1)
	p.expect("an entry of another tenant", p.query(history.Query{Tenant: "b", Seq: 2}))
	p.expect("another tenant's cursor", p.query(history.Query{Tenant: "a", Before: 4}), 2)
	p.expect("a route of its own", p.query(history.Query{Tenant: "a", Route: all[1].Route}), 2)
	p.expect("another tenant's route", p.query(history.Query{Tenant: "A", Route: all[1].Route}))
	p.expect("a route of the platform, asked by a tenant", p.query(history.Query{Tenant: "a", Route: all[2].Route}))
	p.expect("a route of the platform", p.query(history.Query{Tenant: dispatcher.AnyTenant, Route: all[2].Route}), 3)
	p.expect("a route without a tenant", p.query(history.Query{Tenant: dispatcher.AnyTenant, Route: all[0].Route}), 1)
}

func limitRule(p *probe) {
	p.append(entries(1100)...)
	for limit, want := range map[int]int{0: 100, -1: 100, 1: 1, 100: 100, 1000: 1000, 1001: 1000, math.MaxInt: 1000} {
		if got := len(p.query(history.Query{Limit: limit})); got != want {
			p.fail("with Limit %d there were %d entries, want %d", limit, got, want)
		}
	}
}

func pagesRule(p *probe) {
	p.append(entries(50)...)
	q := history.Query{Limit: 7}
	var seen []int
	for {
		page := p.query(q)
		seen = append(seen, numbers(page)...)
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].Seq
		p.append(entry(1000 + len(seen)))
		if len(seen) == 28 {
			p.prune(history.Retention{Before: after(5)}, 4)
		}
	}
	want := make([]int, 0, 46)
	for n := 50; n >= 5; n-- {
		want = append(want, n)
	}
	if !slices.Equal(seen, want) {
		p.fail("the pages showed %v", seen)
	}
}

func seqRule(p *probe) {
	p.append(entries(3)...)
	p.prune(history.Retention{Before: began().Add(time.Hour)}, 3)
	p.append(entry(4))
	if got := p.all(); len(got) != 1 || got[0].Seq != 4 {
		p.fail("after three entries were pruned, the next one's Seq is not 4: %+v", got)
	}
}

func sliceRule(p *probe) {
	mine := entries(3)
	p.append(mine...)
	clear(mine)
	got := p.all()
	p.expect("after the caller's slice was cleared", got, 3, 2, 1)
	clear(got)
	p.expect("after what Query returned was cleared", p.all(), 3, 2, 1)
}

func contextRule(p *probe) {
	p.append(entry(1))
	done, cancel := context.WithCancel(p.ctx)
	cancel()
	if err := p.store.Append(done, entry(2)); !errors.Is(err, context.Canceled) {
		p.fail("Append with ctx cancelled: %v", err)
	}
	if _, err := p.store.Query(done, history.Query{}); !errors.Is(err, context.Canceled) {
		p.fail("Query with ctx cancelled: %v", err)
	}
	if _, err := p.store.Prune(done, history.Retention{Before: began().Add(time.Hour)}); !errors.Is(err, context.Canceled) {
		p.fail("Prune with ctx cancelled: %v", err)
	}
	if _, err := p.store.Remove(done, named("r")); !errors.Is(err, context.Canceled) {
		p.fail("Remove with ctx cancelled: %v", err)
	}
	if _, err := p.store.Totals(done, history.Query{Since: began(), Until: after(9)}, time.Hour); !errors.Is(err, context.Canceled) {
		p.fail("Totals with ctx cancelled: %v", err)
	}
	p.expect("afterwards", p.all(), 1)
}

func concurrentRule(p *probe) {
	const writers, calls, each = 8, 20, 5
	var wg sync.WaitGroup
	errs := make(chan error, 2*writers*calls)
	for w := range writers {
		wg.Go(func() {
			for c := range calls {
				var batch []history.Entry
				for i := range each {
					batch = append(batch, entry((w*calls+c)*each+i))
				}
				errs <- p.store.Append(p.ctx, batch...)
				_, err := p.store.Query(p.ctx, history.Query{Limit: 10})
				errs <- err
			}
		})
	}
	go func() { wg.Wait(); close(errs) }()
	for err := range errs {
		if err != nil {
			p.fail("a call failed: %v", err)
		}
	}
	all := p.all()
	slices.Reverse(all)
	seen := map[int]bool{}
	for i, e := range all {
		if e.Seq != int64(i+1) {
			p.fail("entry %d has Seq %d", i+1, e.Seq)
		}
		if e.Attempt%each != 0 && all[i-1].Attempt != e.Attempt-1 {
			p.fail("entries of one Append are apart: %d after %d", e.Attempt, all[i-1].Attempt)
		}
		seen[e.Attempt] = true
	}
	if len(seen) != writers*calls*each {
		p.fail("%d different entries are kept, want %d", len(seen), writers*calls*each)
	}
}

func randomRule(p *probe) {
	rnd := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // reproducible on purpose
	pick := func(texts ...string) string { return texts[rnd.IntN(len(texts))] }
	outcomes := []dispatcher.Outcome{dispatcher.Delivered, dispatcher.Skipped, dispatcher.Failed, dispatcher.Postponed, dispatcher.Dead}
	var all []history.Entry
	for n := range 300 {
		e := entry(n + 1)
		e.Route.Tenant, e.Route.Name, e.Outcome = pick("", "a", "b", dispatcher.AnyTenant), pick("r", "q"), outcomes[rnd.IntN(5)]
		e.Status, e.Time = 200+rnd.IntN(2), began().Add(time.Duration(rnd.IntN(100))*time.Second)
		var payload event.Payload = fact{}
		if rnd.IntN(2) == 0 {
			payload = other{}
		}
		e.Event = event.Must(payload, event.Meta{ID: pick("e-1", "e-2"), Subject: pick("s", "t", "")})
		all = append(all, e)
	}
	p.append(all...)
	for i := range all {
		all[i].Seq = int64(i + 1)
	}
	maybe := func(set func()) {
		if rnd.IntN(3) == 0 {
			set()
		}
	}
	for range 200 {
		q := history.Query{Tenant: pick("", "a", "c", dispatcher.AnyTenant, dispatcher.AnyTenant), Limit: 1 + rnd.IntN(400)}
		maybe(func() {
			q.Route = dispatcher.RouteID{Tenant: pick("", "a", "b", dispatcher.AnyTenant), Name: pick("r", "q", "x")}
		})
		maybe(func() { q.EventID = pick("e-1", "e-2", "e-3") })
		maybe(func() { q.Subject = pick("s", "t", "x") })
		maybe(func() { q.Type = event.Type(pick("historytest.fact", "historytest.other")) })
		maybe(func() { q.Outcomes = outcomes[rnd.IntN(3) : 3+rnd.IntN(3)] })
		maybe(func() { q.Status = 200 + rnd.IntN(3) })
		maybe(func() { q.Since = began().Add(time.Duration(rnd.IntN(100)) * time.Second) })
		maybe(func() { q.Until = began().Add(time.Duration(rnd.IntN(100)) * time.Second) })
		maybe(func() { q.Before = int64(1 + rnd.IntN(310)) })
		var want []int
		for _, e := range slices.Backward(all) {
			if q.Match(e) && len(want) < q.Max() {
				want = append(want, e.Attempt)
			}
		}
		p.expect(fmt.Sprintf("%+v", q), p.query(q), want...)
		q.Since, q.Until = began().Add(7*time.Second), began().Add(93*time.Second)
		counted, _ := q.Spans(11 * time.Second)
		for _, e := range all {
			if q.Match(e) {
				counted[e.Time.Sub(q.Since)/(11*time.Second)].Add(string(e.Outcome), 1)
			}
		}
		for i := range counted {
			counted[i].Time = time.Time{}
		}
		if got := p.totals(q, 11*time.Second); !slices.Equal(got, counted) {
			p.fail("the totals of %+v are\n%+v, want\n%+v", q, got, counted)
		}
	}
}

func reopenRule(p *probe) {
	if p.reopen == nil {
		return
	}
	all := odd()
	p.append(all...)
	p.append(entry(1))
	p.prune(history.Retention{Entries: len(all)}, 1)
	all = slices.Delete(all, 1, 2) // the oldest of the tenant with the most
	p.store = p.reopen()
	all = append(all, entry(1))
	got := p.all()
	if len(got) != len(all) {
		p.fail("%d entries are there again, want %d", len(got), len(all))
	}
	slices.Reverse(got)
	for i := range all {
		p.same(got[i], all[i])
	}
	p.append(entry(9))
	if got := p.all()[0]; got.Seq != int64(len(all)+2) {
		p.fail("the next Seq is %d, want %d", got.Seq, len(all)+2)
	}
	p.prune(history.Retention{TenantEntries: 2}, 2)
}
