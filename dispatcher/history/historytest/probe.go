package historytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// reporter is the part of testing.TB the rules use.
type reporter interface {
	Helper()
	Fatal(args ...any)
}

// probe asks a store questions on behalf of one rule.
type probe struct {
	tb     reporter
	ctx    context.Context
	rule   rule
	store  history.Store
	reopen func() history.Store // nil = the store is not durable
}

// fail ends the sub-test with what was seen and the rule.
func (p *probe) fail(format string, args ...any) {
	p.tb.Helper()
	p.tb.Fatal(fmt.Sprintf(format, args...) + "\nrule: " + p.rule.text)
}

func (p *probe) append(entries ...history.Entry) {
	p.tb.Helper()
	if err := p.store.Append(p.ctx, entries...); err != nil {
		p.fail("Append: %v", err)
	}
}

func (p *probe) query(q history.Query) []history.Entry {
	p.tb.Helper()
	found, err := p.store.Query(p.ctx, q)
	if err != nil {
		p.fail("Query %+v: %v", q, err)
	}
	return found
}

// all returns every entry, page by page, the newest first.
func (p *probe) all() []history.Entry {
	p.tb.Helper()
	var all []history.Entry
	q := history.Query{Tenant: dispatcher.AnyTenant, Limit: 1000}
	for {
		page := p.query(q)
		all = append(all, page...)
		if len(page) < q.Limit {
			return all
		}
		q.Before = page[len(page)-1].Seq
	}
}

func (p *probe) prune(r history.Retention, want int) {
	p.tb.Helper()
	n, err := p.store.Prune(p.ctx, r)
	if err != nil {
		p.fail("Prune %+v: %v", r, err)
	}
	if n != want {
		p.fail("Prune %+v says that it removed %d entries, want %d", r, n, want)
	}
}

func (p *probe) remove(of dispatcher.RouteID, want int) {
	p.tb.Helper()
	n, err := p.store.Remove(p.ctx, of)
	if err != nil {
		p.fail("Remove %+v: %v", of, err)
	}
	if n != want {
		p.fail("Remove %+v says that it removed %d entries, want %d", of, n, want)
	}
}

// totals returns the totals of q without their times, which it checks.
func (p *probe) totals(q history.Query, step time.Duration) []history.Total {
	p.tb.Helper()
	all, err := p.store.Totals(p.ctx, q, step)
	if err != nil {
		p.fail("Totals %+v: %v", q, err)
	}
	for i := range all {
		if want := q.Since.Add(time.Duration(i) * step); !all[i].Time.Equal(want) {
			p.fail("Totals %+v: number %d begins at %v, want %v", q, i, all[i].Time, want)
		}
		all[i].Time = time.Time{}
	}
	return all
}

// numbers returns the attempts of entries, by which the rules tell them apart.
func numbers(entries []history.Entry) []int {
	all := make([]int, len(entries))
	for i, e := range entries {
		all[i] = e.Attempt
	}
	return all
}

// expect compares entries by their attempts.
func (p *probe) expect(what string, got []history.Entry, want ...int) {
	p.tb.Helper()
	if fmt.Sprint(numbers(got)) != fmt.Sprint(want) {
		p.fail("%s: got entries %v, want %v", what, numbers(got), want)
	}
}

// same compares everything but Seq, the event byte for byte.
func (p *probe) same(got, want history.Entry) {
	p.tb.Helper()
	got.Seq, want.Seq = 0, 0
	if !got.Time.Equal(want.Time) {
		p.fail("Time is %v, want %v", got.Time, want.Time)
	}
	if !bytes.Equal(got.Event.JSON(), want.Event.JSON()) || got.Event.IsZero() != want.Event.IsZero() {
		p.fail("the event is %s, want %s", got.Event.JSON(), want.Event.JSON())
	}
	got.Time, want.Time = time.Time{}, time.Time{}
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		p.fail("got  %s (%v)\nwant %s (%v)", a, errA, b, errB)
	}
}

// fact is the payload of the suite's events.
type fact struct {
	Text string `json:"text"`
}

// EventType implements event.Payload.
func (fact) EventType() event.Type { return "historytest.fact" }

// other is another type of event.
type other struct{ fact }

// EventType implements event.Payload.
func (other) EventType() event.Type { return "historytest.other" }

// began is the time of the first entries.
func began() time.Time { return time.Date(2026, 11, 25, 20, 0, 0, 123_456_789, time.UTC) }

// after is the time of the n-th entry.
func after(n int) time.Time { return began().Add(time.Duration(n) * time.Second) }

// named is the identity of the route of that name without a tenant.
func named(name string) dispatcher.RouteID { return dispatcher.RouteID{Name: name} }

// of returns entries of a tenant's route "r", from the given number to the other.
func of(tenant string, first, last int) (all []history.Entry) {
	for n := first; n <= last; n++ {
		e := entry(n)
		e.Route.Tenant = tenant
		all = append(all, e)
	}
	return all
}

// entry is a plain one, the n-th.
func entry(n int) history.Entry {
	return history.Entry{
		Time: after(n), Route: named("r"), Attempt: n, Outcome: dispatcher.Delivered,
		Event: event.Must(fact{fmt.Sprint(n)}, event.Meta{ID: fmt.Sprint("e-", n), Subject: "s", Time: began()}),
	}
}

func entries(n int) []history.Entry {
	all := make([]history.Entry, n)
	for i := range all {
		all[i] = entry(i + 1)
	}
	return all
}
