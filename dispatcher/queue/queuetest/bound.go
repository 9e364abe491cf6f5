package queuetest

import (
	"errors"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// makeRoom lets a lane hold n jobs, if that needs saying.
func (p *probe) makeRoom(lane string, n int) {
	p.q.Bound(lane, queue.Bound{Jobs: n})
}

// refused checks that an Enqueue found no room in these lanes.
func (p *probe) refused(err error, lanes ...string) {
	p.tb.Helper()
	var full *queue.BacklogError
	if !errors.As(err, &full) {
		p.fail("Enqueue to full lanes %q: error %v, want a *BacklogError", lanes, err)
	}
	named := slices.Sorted(slices.Values(full.Lanes))
	if !slices.Equal(named, lanes) {
		p.fail("the *BacklogError names %q, want %q", named, lanes)
	}
}

func rejectRule(p *probe) {
	p.q.Bound("full", queue.Bound{Jobs: 2})
	full, roomy := p.open("full", 1), newTally()
	p.openWith("roomy", queue.LaneOptions{Limit: 1}, roomy.done)
	pair := func() []queue.Job {
		j := p.job("full")
		k := j
		k.Lane = "roomy"
		return []queue.Job{j, k}
	}
	p.enqueue(pair()...)
	c := full.expect("e1") // runs: does not count as backlog
	p.enqueue(pair()...)
	p.enqueue(pair()...)
	over := pair()
	p.refused(p.q.Enqueue(p.ctx, over...), "full")
	p.refused(p.q.Enqueue(p.ctx, over...), "full")
	roomy.await(p, 4)
	c.retry(0) // comes back whatever the bound
	full.next().done()
	full.next().done()
	c = full.next()
	p.enqueue(over...)
	c.done()
	full.expect("e4").done()
	p.enqueue(over...)
	full.expectNone("that was enqueued again")
	roomy.await(p, 4)

	p.q.Bound("one", queue.Bound{Jobs: 1})
	p.q.Bound("two", queue.Bound{Jobs: 2})
	one, two := p.jobs("one", 2), p.jobs("two", 3)
	p.refused(p.q.Enqueue(p.ctx, slices.Concat(one, two)...), "one", "two")
	p.q.Bound("one", queue.Bound{Jobs: 2})
	p.enqueue(one...)
	p.q.Bound("one", queue.Bound{Jobs: 1})
	l := p.open("one", 1)
	l.expect(one[0].Event.ID()).done()
	l.expect(one[1].Event.ID()).done()
	l = p.open("two", 1)
	l.expect(two[0].Event.ID()).done()
	l.expect(two[1].Event.ID()).done()
	l.expectNone("that was refused")
}

func dropRule(p *probe) {
	var mu sync.Mutex
	var dropped []string
	bound := queue.Bound{
		Jobs: 3, DropOldest: true,
		Keep: func(e event.Event) bool { return e.ID() == "e1" },
		Dropped: func(j queue.Job) {
			if p.q.Properties().Inspection && len(p.letters(queue.Selection{IDs: []string{j.ID()}})) != 1 {
				p.note("Dropped was notified of %s before it was a dead letter", j.ID())
			}
			mu.Lock()
			defer mu.Unlock()
			dropped = append(dropped, j.Event.ID())
		},
	}
	p.q.Bound("a", bound)
	// e1 is kept; e2 has a follower of its key, so e2's drop lets e3 go.
	p.enqueue(p.job("a"), p.keyed("a", "x"), p.keyed("a", "x"), p.job("a"), p.job("a"))
	mu.Lock()
	if !slices.Equal(dropped, []string{"e2", "e3"}) {
		p.fail("with room for 3 of e1 (kept) to e5, dropped were %v, want e2 and e3", dropped)
	}
	mu.Unlock()
	if p.q.Properties().Inspection {
		letters := p.letters(queue.Selection{})
		if len(letters) != 2 || letters[0].Event.ID() != "e2" || letters[0].Reason == "" || letters[0].Attempt != 0 {
			p.fail("the dead letters of dropped jobs are %+v, want e2 and e3, untried, with a reason", letters)
		}
	}
	bound.Keep = func(event.Event) bool { return true }
	p.q.Bound("a", bound)
	kept := p.job("a")
	p.refused(p.q.Enqueue(p.ctx, kept), "a")
	l := p.open("a", 1)
	for _, id := range []string{"e1", "e4", "e5"} {
		l.expect(id).done()
	}
	p.enqueue(kept)
	l.expect(kept.Event.ID()).done()
	l.expectNone("that was dropped")
}

func boundReplaceRule(p *probe) {
	p.q.Bound("a", queue.Bound{Jobs: 2})
	p.schedule("k", p.delayed("a", p.s.Unit))
	p.enqueue(p.job("a"))
	p.refused(p.q.Schedule(p.ctx, "other", p.job("a")), "a")
	p.q.Bound("a", queue.Bound{Jobs: 1})
	p.schedule("k", p.delayed("a", 2*p.s.Unit))
	l := p.open("a", 1)
	l.expect("e2").done()
	l.expect("e4").done()
	l.expectNone("that was replaced or refused")
}
