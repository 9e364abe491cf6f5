package queuetest

import (
	"math"
	"time"
)

func notBeforeRule(p *probe) {
	l := p.open("a", 4)
	far, near, past := p.delayed("a", 3*p.s.Unit), p.delayed("a", p.s.Unit), p.delayed("a", -time.Hour)
	never := p.job("a")
	never.NotBefore = time.Now().Add(math.MaxInt64) // the end of what a Duration can say
	p.enqueue(past)
	c := l.expect(past.Event.ID())
	p.timely("a job without delay", c.Enqueued, c.at)
	c.done()
	p.enqueue(never, far)
	p.enqueue(near)
	for range 2 { // the nearer one first, unless the machine is so busy that both times have come
		c := l.next()
		if id := c.Event.ID(); id != near.Event.ID() && id != far.Event.ID() {
			p.fail("job %s started, whose time is the end of time", id)
		}
		p.timely("a delayed job", c.NotBefore, c.at)
		c.done()
	}
	l.stop()
	closed := p.delayed("b", p.s.Unit)
	p.enqueue(closed)
	<-time.After(2 * p.s.Unit)
	opened := time.Now()
	c = p.open("b", 1).next()
	p.timely("a job whose time came before its lane was opened", opened, c.at)
	c.done()
}

func delayRule(p *probe) {
	l := p.open("a", 4)
	p.enqueue(p.job("a"))
	for _, d := range []time.Duration{2 * p.s.Unit, p.s.Unit, 0, -time.Second} {
		c := l.next()
		settled := time.Now()
		c.retry(d)
		c = l.next()
		p.timely("a retried job", settled.Add(max(d, 0)), c.at)
		settled = time.Now()
		c.postpone(d)
		c = l.next()
		p.timely("a postponed job", settled.Add(max(d, 0)), c.at)
		c.retry(0)
	}
	l.next().retry(math.MaxInt64)
	l.quiet("that is to be retried in 292 years")
}
