package queuetest

import (
	"errors"
	"slices"
	"sync"
	"time"

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

// behindRule has more jobs in an open lane than a queue with a store keeps in memory. The latest quarter of them is in
// the store only.
func behindRule(p *probe) {
	bound := queue.Bound{Jobs: p.s.Crowd}
	p.q.Bound("a", bound)
	t := newTally()
	l := p.openWith("a", queue.LaneOptions{}, t.done)
	jobs := p.crowd("a")
	over := p.jobs("a", 2)
	p.refused(p.q.Enqueue(p.ctx, over...), "a")

	var dropped []string // written in Enqueue
	bound.DropOldest, bound.Dropped = true, func(j queue.Job) { dropped = append(dropped, j.Event.ID()) }
	p.q.Bound("a", bound)
	p.enqueue(over[0])
	behind := jobs[len(jobs)*3/4:]
	latest := map[string]bool{}
	for _, id := range append(ids(behind...), ids(over...)...) {
		latest[id] = true
	}
	bound.Keep = func(e event.Event) bool { return !latest[e.ID()] }
	p.q.Bound("a", bound)
	p.enqueue(over[1])
	want := ids(jobs[0], behind[0])
	if !slices.Equal(dropped, want) {
		p.fail("of %d jobs, of which then those before %s were kept, dropped were %v, want %v", len(jobs), want[1], dropped, want)
	}

	l.q.Limit(4)
	t.await(p, len(jobs))
	p.must("Drain", l.q.Drain(p.ctx, time.Time{}))
	t.await(p, len(jobs))
	for _, id := range t.order {
		if slices.Contains(want, id) {
			p.fail("job %s ran, which was dropped", id)
		}
	}
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

func boundRestartRule(p *probe) {
	group := queue.Bound{Jobs: 3, Group: "g", GroupJobs: 4}
	p.q.Bound("a", group)
	p.q.Bound("b", group)
	l := p.open("a", 1)
	p.enqueue(p.jobs("a", 3)...)
	l.expect("e1").retry(time.Hour)
	l.expect("e2").done()
	c := l.expect("e3")
	p.enqueue(p.job("a"))
	c.postpone(0)
	l.expect("e3").done()
	l.expect("e4").retry(time.Hour)
	p.counts("a", queue.Counts{Later: 2})
	l.stop()
	p.enqueue(p.job("a"))
	p.reopen()
	p.q.Bound("a", group)
	p.q.Bound("b", group)
	p.refused(p.q.Enqueue(p.ctx, p.job("a")), "a")
	p.enqueue(p.job("b"))
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("b")), []string{"g"}, "b")
}

// fullGroups is refused for lanes whose groups had no room.
func (p *probe) fullGroups(err error, groups []string, lanes ...string) {
	p.tb.Helper()
	p.refused(err, lanes...)
	var full *queue.BacklogError
	errors.As(err, &full)
	if named := slices.Sorted(slices.Values(full.Groups)); !slices.Equal(named, groups) {
		p.fail("the *BacklogError names the groups %q, want %q", named, groups)
	}
}

func groupRule(p *probe) {
	g, h := queue.Bound{Jobs: 3, Group: "g", GroupJobs: 4}, queue.Bound{Group: "h", GroupJobs: 1}
	p.q.Bound("a", g)
	p.q.Bound("b", g)
	p.q.Bound("c", h)
	a := p.open("a", 1)
	p.enqueue(p.jobs("a", 1)...)
	c := a.expect("e1") // runs: does not count
	p.enqueue(p.jobs("a", 3)...)
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("a")), nil, "a") // its own backlog
	p.enqueue(p.job("b"), p.job("c"), p.job("d"))
	over := p.job("b")
	p.fullGroups(p.q.Enqueue(p.ctx, over, p.job("d")), []string{"g"}, "b")
	c.retry(time.Hour)
	c = a.next() // takes one from those that wait, to which e1 has come back
	p.fullGroups(p.q.Enqueue(p.ctx, over), []string{"g"}, "b")
	c.done()
	c = a.next()
	p.enqueue(over)
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("b"), p.job("c"), p.job("d")), []string{"g", "h"}, "b", "c")
	c.done()
	a.next().done()

	// A lane that changes its group takes what waits along.
	p.q.Bound("c", g)
	p.counts("a", queue.Counts{Later: 1})
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("b")), []string{"g"}, "b")
	p.q.Bound("b", h)
	p.enqueue(p.job("c"))
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("b")), []string{"h"}, "b")
	p.q.Bound("b", queue.Bound{})
	p.enqueue(p.job("b"))
}

func groupDropRule(p *probe) {
	bound := queue.Bound{Group: "g", GroupJobs: 3}
	p.q.Bound("a", bound)
	bound.DropOldest = true
	p.q.Bound("b", bound)
	p.enqueue(p.job("a"), p.job("a"), p.job("b"))
	p.enqueue(p.job("b")) // in place of e3
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("a")), []string{"g"}, "a")
	a, b := p.open("a", 1), p.open("b", 1)
	a.expect("e1").done()
	a.expect("e2").done()
	b.expect("e4").done()
	b.expectNone("that was dropped")
	b.q.Limit(0)
	a.q.Limit(0)
	p.enqueue(p.jobs("a", 3)...)
	p.fullGroups(p.q.Enqueue(p.ctx, p.job("b")), []string{"g"}, "b") // it has nothing to drop
	a.q.Limit(1)
	for range 3 {
		a.next().done()
	}
}

// deadIDs are the events of a lane's dead letters.
func (p *probe) deadIDs(lane string) (ids []string) {
	p.tb.Helper()
	for _, letter := range p.letters(queue.Selection{Lane: lane}) {
		ids = append(ids, letter.Event.ID())
	}
	return ids
}

func (p *probe) wantDead(lane string, want ...string) {
	p.tb.Helper()
	if got := p.deadIDs(lane); !slices.Equal(got, want) {
		p.fail("the dead letters of lane %q are %q, want %q", lane, got, want)
	}
	c, err := p.q.Count(p.ctx, lane)
	p.must("Count", err)
	if c.Dead != len(want) {
		p.fail("Count of lane %q says %d dead, want %d", lane, c.Dead, len(want))
	}
}

func deadLimitRule(p *probe) {
	p.q.Bound("a", queue.Bound{DeadLetters: 2})
	p.q.Bound("b", queue.Bound{DeadLetters: 3})
	a, b := p.open("a", 1), p.open("b", 1)
	p.enqueue(p.job("a"), p.job("b"))
	a.markDead(1)
	b.markDead(1)
	p.enqueue(p.jobs("b", 3)...)
	b.markDead(3)
	p.wantDead("a", "e1")
	p.wantDead("b", "e3", "e4", "e5")
	p.enqueue(p.jobs("a", 2)...)
	a.markDead(2)
	p.wantDead("a", "e6", "e7")
	p.wantDead("b", "e3", "e4", "e5")
	if n, err := p.q.Discard(p.ctx, queue.Selection{Lane: "b", Limit: 2}); n != 2 || err != nil {
		p.fail("Discard of 2 dead letters: %d, %v", n, err)
	}
	p.enqueue(p.job("b"))
	b.markDead(1)
	p.wantDead("b", "e5", "e8")
	if !p.q.Properties().Bounded {
		return
	}
	p.q.Bound("b", queue.Bound{DeadLetters: 1, Jobs: 1, DropOldest: true})
	b.q.Limit(0)
	p.enqueue(p.jobs("b", 2)...) // drops e9
	p.until("a dropped job is the only dead letter", func() bool { return slices.Equal(p.deadIDs("b"), []string{"e9"}) })
	p.wantDead("a", "e6", "e7")
}

func deadAgeRule(p *probe) {
	const age = time.Second
	p.q.Bound("a", queue.Bound{DeadLetterAge: age})
	a, b := p.open("a", 1), p.open("b", 1)
	p.enqueue(p.jobs("a", 2)...)
	p.enqueue(p.job("b"))
	b.markDead(1)
	a.markDead(1)
	letter := p.letters(queue.Selection{Lane: "a"})[0]
	p.q.Bound("a", queue.Bound{DeadLetterAge: time.Hour})
	a.markDead(1)
	p.until("the first dead letter is gone", func() bool { return slices.Equal(p.deadIDs("a"), []string{"e2"}) })
	if kept := time.Since(letter.At); kept < age-time.Millisecond {
		p.fail("a dead letter with an age of %v is gone after %v", age, kept)
	}
	p.wantDead("a", "e2")
	p.wantDead("b", "e3")
	if n, err := p.q.Requeue(p.ctx, queue.Selection{Lane: "a", IDs: []string{letter.ID()}}, 1); n != 0 || err != nil {
		p.fail("Requeue of a dead letter that is gone: %d, %v", n, err)
	}
	if n, err := p.q.Discard(p.ctx, queue.Selection{LanePrefix: "a"}); n != 1 || err != nil {
		p.fail("Discard of the lane's only dead letter: %d, %v", n, err)
	}
}

func deadLimitRestartRule(p *probe) {
	a := p.open("a", 1)
	p.enqueue(p.jobs("a", 3)...)
	a.markDead(3)
	p.reopen()
	p.q.Bound("a", queue.Bound{DeadLetters: 3})
	a = p.open("a", 1)
	p.enqueue(p.job("a"))
	a.markDead(1)
	p.wantDead("a", "e2", "e3", "e4")
}
