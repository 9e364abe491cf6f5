package queuetest

import (
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func restartRule(p *probe) {
	l := p.open("a", 1)
	jobs := p.jobs("a", 4)
	jobs[1].Headers = map[string]string{"trace": "1"}
	jobs = append(jobs, p.delayed("a", p.s.Unit), p.delayed("a", -time.Hour))
	elsewhere := p.job("b")
	elsewhere.Event = oddEvent("odd")
	p.enqueue(jobs...)
	p.enqueue(elsewhere)
	began := time.Now().Add(-time.Minute)
	l.expect("e1").done()
	l.expect("e2").settle(queue.Outcome{Action: queue.Retry, Delay: p.s.Unit, Began: began})
	c := l.expect("e3")
	l.q.Limit(0)
	c.die("no use")
	l.stop()
	p.reopen()

	p.enqueue(jobs...) // all known
	jobs[1].Attempt, jobs[1].FirstTried = 1, began
	want := map[string]queue.Job{"e2": jobs[1], "e4": jobs[3], "e5": jobs[4], "e6": jobs[5]}
	l = p.open("a", 4)
	for range len(want) {
		c := l.next()
		w, ok := want[c.Event.ID()]
		if !ok {
			p.fail("after a restart job %s ran, which was settled or ran before", c.ID())
		}
		delete(want, c.Event.ID())
		if w.Event.ID() == "e2" {
			w.NotBefore = c.NotBefore
		}
		p.identical(w, c.Job)
		if time.Now().Before(w.NotBefore.Add(-time.Millisecond)) {
			p.fail("after a restart job %s ran before its time", c.ID())
		}
		c.done()
	}
	l.quiet("that was settled before the restart")
	c = p.open("b", 1).next()
	p.identical(elsewhere, c.Job)
	c.done()
	p.counts("a", queue.Counts{Dead: 1})
}

func crowdRule(p *probe) {
	p.makeRoom("a", p.s.Crowd)
	jobs := p.jobs("a", p.s.Crowd)
	for rest := jobs; len(rest) > 0; {
		n := min(100, len(rest))
		p.enqueue(rest[:n]...)
		rest = rest[n:]
	}
	began := time.Now()
	p.reopen()
	p.makeRoom("a", p.s.Crowd)
	t := newTally()
	p.openWith("a", queue.LaneOptions{Limit: 4}, t.done)
	wait(p, t.changed, "start of the first job")
	if took := time.Since(began); took > time.Second+p.s.Slack {
		p.fail("the first of %d jobs started %v after the store was opened", len(jobs), took)
	}
	t.await(p, len(jobs))
	p.counts("a", queue.Counts{})
}
