package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// counts waits until the lane's counts are as wanted: an outcome is applied after its handler has returned.
func (p *probe) counts(name string, want queue.Counts) {
	p.tb.Helper()
	if !p.q.Properties().Inspection {
		return
	}
	var got queue.Counts
	deadline := time.Now().Add(p.s.Timeout)
	for {
		var err error
		got, err = p.q.Count(p.ctx, name)
		p.must("Count", err)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			p.fail("Count of lane %q is %+v, want %+v", name, got, want)
		}
		<-time.After(p.s.Unit / 10)
	}
}

func (p *probe) letters(s queue.Selection) []queue.DeadLetter {
	p.tb.Helper()
	letters, err := p.q.DeadLetters(p.ctx, s)
	p.must("DeadLetters", err)
	return letters
}

func (p *probe) laneNames(want ...string) {
	p.tb.Helper()
	var names []string
	p.until(fmt.Sprintf("Lanes lists %q", want), func() bool {
		var err error
		names, err = p.q.Lanes(p.ctx)
		p.must("Lanes", err)
		return slices.Equal(names, want)
	})
}

func countsRule(p *probe) {
	p.counts("a", queue.Counts{})
	p.laneNames()
	p.enqueue(p.job("b"), p.delayed("a", time.Hour), p.job("a"), p.job("a"), p.delayed("a", p.s.Unit))
	p.counts("a", queue.Counts{Due: 3, Later: 1})
	p.counts("b", queue.Counts{Due: 1})
	p.laneNames("a", "b")
	l := p.open("a", 1)
	c := l.next()
	p.counts("a", queue.Counts{Due: 2, Later: 1, Running: 1})
	c.retry(time.Hour)
	c = l.next()
	p.counts("a", queue.Counts{Due: 1, Later: 2, Running: 1})
	c.dead("no use")
	l.next().done()
	p.counts("a", queue.Counts{Later: 2, Dead: 1})
	p.open("c", 1)
	p.laneNames("a", "b", "c")
	if n, err := p.q.Purge(p.ctx, "a"); n != 2 || err != nil {
		p.fail("Purge of 2 later jobs: %d, %v", n, err)
	}
	l.stop()
	p.laneNames("a", "b", "c")
	if n, err := p.q.Discard(p.ctx, queue.Selection{}); n != 1 || err != nil {
		p.fail("Discard of 1 dead letter: %d, %v", n, err)
	}
	p.laneNames("b", "c")
	if c := (queue.Counts{Due: 2, Later: 3, Running: 4, Dead: 5}); c.Waiting() != 5 {
		p.fail("Waiting of %+v is %d", c, c.Waiting())
	}
}

func purgeRule(p *probe) {
	if n, err := p.q.Purge(p.ctx, "nobody's"); n != 0 || err != nil {
		p.fail("Purge of an unknown lane: %d, %v", n, err)
	}
	l := p.open("a", 1)
	p.enqueue(p.keyed("a", "x"), p.keyed("a", "x"), p.keyed("a", "y"), p.keyed("a", "y"), p.delayed("a", p.s.Unit), p.job("b"))
	c := l.expect("e1")
	if n, err := p.q.Purge(p.ctx, "a"); n != 4 || err != nil {
		p.fail("Purge of 4 waiting jobs beside a running one: %d, %v", n, err)
	}
	p.counts("a", queue.Counts{Running: 1})
	c.retry(p.s.Unit)
	l.expect("e1").done()
	l.expectNone("that was purged")
	p.enqueue(p.keyed("a", "x"), p.keyed("a", "y"))
	l.expect("e7").done()
	l.expect("e8").done()
	p.open("b", 1).expect("e6").done()
}

// backlogRule is about queues that hold a part of a lane's jobs in memory and read the others from a store meanwhile.
func backlogRule(p *probe) {
	const jobs, each = 400, 20
	all := p.jobs("a", jobs)
	for n := range all {
		switch n % 10 {
		case 3:
			all[n].NotBefore = time.Now().Add(p.s.Unit / 10)
		case 7:
			all[n].Urgent = true
		}
	}
	p.enqueue(all[:jobs/2]...)
	t := newTally()
	l := p.openWith("a", queue.LaneOptions{Limit: 2}, t.done)
	purged := 0
	for n := jobs / 2; n < jobs; n += each {
		p.enqueue(all[n : n+each]...)
		if n%(2*each) == 0 {
			continue
		}
		gone, err := p.q.Purge(p.ctx, "a")
		p.must("Purge", err)
		purged += gone
	}
	p.must("Drain", wait(p, inBackground(func() error { return l.q.Drain(p.ctx, time.Now().Add(p.s.Unit)) }), "Drain"))
	p.counts("a", queue.Counts{})
	if ran := t.distinct(); ran+purged != jobs {
		p.fail("%d of %d jobs ran and %d were purged", ran, jobs, purged)
	}
	t.once(p)
}

// markDead makes dead letters of the lane's next n jobs.
func (l *lane) markDead(n int) {
	l.p.tb.Helper()
	for range n {
		c := l.next()
		c.dead("reason " + c.Event.ID())
		c.settledDead()
	}
}

// settledDead waits until the dead letter is there.
func (c *call) settledDead() {
	l := c.lane
	l.p.tb.Helper()
	l.p.until("dead letter "+c.ID(), func() bool {
		return len(l.p.letters(queue.Selection{Lane: l.name, IDs: []string{c.ID()}})) == 1
	})
}

func lettersRule(p *probe) {
	began := time.Now()
	a, b := p.open("a", 1), p.open("b", 1)
	keyed := p.keyed("a", "x")
	keyed.Headers = map[string]string{"trace": "1"}
	p.enqueue(keyed)
	a.markDead(1)
	p.enqueue(p.job("b"))
	b.markDead(1)
	p.enqueue(p.jobs("a", 3)...)
	a.markDead(3)
	all := p.letters(queue.Selection{})
	var got []string
	for n, letter := range all {
		got = append(got, letter.Event.ID())
		if n > 0 && (letter.Seq <= all[n-1].Seq || letter.At.Before(all[n-1].At)) {
			p.fail("dead letter %d has Seq %d and time %v, the one before %d and %v", n, letter.Seq, letter.At, all[n-1].Seq, all[n-1].At)
		}
		if letter.Reason != "reason "+letter.Event.ID() {
			p.fail("dead letter %s has reason %q", letter.ID(), letter.Reason)
		}
		if letter.At.Before(began.Add(-time.Millisecond)) || letter.At.After(time.Now().Add(time.Millisecond)) {
			p.fail("dead letter %s is of %v, which is not when it became one", letter.ID(), letter.At)
		}
	}
	if strings.Join(got, " ") != "e1 e2 e3 e4 e5" {
		p.fail("dead letters are listed as %v, want the earliest first", got)
	}
	keyed.Attempt, keyed.FirstTried, keyed.NotBefore = 1, all[0].FirstTried, all[0].NotBefore
	p.identical(keyed, all[0].Job)
	for _, s := range []queue.Selection{
		{Lane: "a"}, {Lane: "none"}, {LanePrefix: "a"}, {LanePrefix: "aa"}, {Lane: "b", LanePrefix: "a"}, {Since: all[2].At}, {Since: time.Now().Add(time.Hour)}, {After: all[1].Seq},
		{IDs: []string{all[4].ID(), all[0].ID(), "none"}}, {IDs: []string{}}, {Limit: 2}, {Limit: 9},
		{Lane: "a", After: all[0].Seq, Limit: 2}, {Lane: "b", IDs: []string{all[0].ID()}},
	} {
		var want, got []string
		for _, letter := range all {
			if s.Match(letter) && (s.Limit == 0 || len(want) < s.Limit) {
				want = append(want, letter.ID())
			}
		}
		for _, letter := range p.letters(s) {
			got = append(got, letter.ID())
		}
		if !slices.Equal(got, want) {
			p.fail("dead letters of %+v: %v, want %v", s, got, want)
		}
	}
	var paged int
	for s := (queue.Selection{Limit: 2}); ; {
		page := p.letters(s)
		if len(page) == 0 || paged > len(all) {
			break
		}
		paged += len(page)
		s.After = page[len(page)-1].Seq
	}
	if paged != len(all) {
		p.fail("paging two at a time did not find %d dead letters, each once", len(all))
	}
	a.expectNone("that is dead")
}

func requeueRule(p *probe) {
	a := p.open("a", 1)
	keyed := p.keyed("a", "x")
	keyed.Headers = map[string]string{"trace": "1"}
	keyed.Attempt, keyed.FirstTried, keyed.Enqueued = 3, time.Now().Add(-time.Hour), time.Now().Add(-2*time.Hour)
	p.enqueue(keyed)
	a.markDead(1)
	p.enqueue(p.jobs("a", 3)...)
	a.markDead(3)
	a.stop()
	p.q.Bound("a", queue.Bound{Jobs: 1})
	requeued := time.Now()
	all := p.letters(queue.Selection{})
	if n, err := p.q.Requeue(p.ctx, queue.Selection{Lane: "b"}, 5); n != 0 || err != nil {
		p.fail("Requeue of no dead letter: %d, %v", n, err)
	}
	if n, err := p.q.Requeue(p.ctx, queue.Selection{Lane: "a", After: all[0].Seq, Limit: 2}, 5); n != 2 || err != nil {
		p.fail("Requeue of 2 dead letters: %d, %v", n, err)
	}
	if n, err := p.q.Requeue(p.ctx, queue.Selection{IDs: []string{all[0].ID()}}, 6); n != 1 || err != nil {
		p.fail("Requeue of 1 dead letter: %d, %v", n, err)
	}
	p.counts("a", queue.Counts{Due: 3, Dead: 1})
	a = p.open("a", 1)
	a.expect("e2").done()
	a.expect("e3").done()
	c := a.expect("e1")
	if c.Enqueued.Before(requeued.Add(-time.Millisecond)) || c.Enqueued.After(time.Now().Add(time.Millisecond)) {
		p.fail("a requeued job was enqueued at %v, want now", c.Enqueued)
	}
	want := queue.Job{
		Event: keyed.Event, Lane: "a", OrderKey: "x", Generation: 6, Headers: keyed.Headers, Enqueued: c.Enqueued,
	}
	p.identical(want, c.Job)
	c.dead("again")
	c.settledDead()
	a.expectNone("that is dead")
	p.counts("a", queue.Counts{Dead: 2})
}

func discardRule(p *probe) {
	a, b := p.open("a", 1), p.open("b", 1)
	p.enqueue(p.jobs("a", 3)...)
	a.markDead(3)
	p.enqueue(p.jobs("b", 1)...)
	b.markDead(1)
	all := p.letters(queue.Selection{})
	if n, err := p.q.Discard(p.ctx, queue.Selection{IDs: []string{all[1].ID()}}); n != 1 || err != nil {
		p.fail("Discard of 1 dead letter: %d, %v", n, err)
	}
	if n, err := p.q.Discard(p.ctx, queue.Selection{Lane: "a", Limit: 1}); n != 1 || err != nil {
		p.fail("Discard of the first dead letter: %d, %v", n, err)
	}
	left := p.letters(queue.Selection{})
	if len(left) != 2 || left[0].ID() != all[2].ID() || left[1].ID() != all[3].ID() {
		p.fail("after Discard of %s and %s these are left: %v", all[1].ID(), all[0].ID(), left)
	}
	a.expectNone("that was discarded")
	p.counts("a", queue.Counts{Dead: 1})
}

func sinceRule(p *probe) {
	a, b := p.open("a", 1), p.open("b", 1)
	var ids []string // in the order they became dead: a b a b a b
	for range 3 {
		for _, l := range []*lane{a, b} {
			<-time.After(2 * time.Millisecond) // so that no two became dead at the same time
			j := p.job(l.name)
			ids = append(ids, j.ID())
			p.enqueue(j)
			l.markDead(1)
		}
	}
	all := p.letters(queue.Selection{})
	a.q.Limit(0)
	if n, err := p.q.Requeue(p.ctx, queue.Selection{Lane: "a", Since: all[2].At}, 5); n != 2 || err != nil {
		p.fail("Requeue of the 2 that became dead in lane a since a time: %d, %v", n, err)
	}
	p.counts("a", queue.Counts{Due: 2, Dead: 1})
	if n, err := p.q.Discard(p.ctx, queue.Selection{Since: all[3].At}); n != 2 || err != nil {
		p.fail("Discard of the 2 that became dead in any lane since a time: %d, %v", n, err)
	}
	var left []string
	for _, letter := range p.letters(queue.Selection{}) {
		left = append(left, letter.ID())
	}
	if !slices.Equal(left, ids[:2]) {
		p.fail("dead letters that became dead before the time are %v, want %v", left, ids[:2])
	}
	a.q.Limit(1)
	a.expect(all[2].Event.ID()).done()
	a.expect(all[4].Event.ID()).done()
}
