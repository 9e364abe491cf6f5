package queuetest

import "github.com/tocsin-go/tocsin/dispatcher/queue"

// urgentCrowd is more jobs than a queue may be expected to hold ready.
const urgentCrowd = 1200

func (p *probe) urgent(lane string) queue.Job {
	j := p.job(lane)
	j.Urgent = true
	return j
}

func urgentRule(p *probe) {
	p.makeRoom("a", urgentCrowd+10)
	crowd := p.jobs("a", urgentCrowd)
	p.enqueue(crowd...)
	l := p.open("a", 1)
	c := l.expect(crowd[0].Event.ID())
	urgent := p.urgent("a")
	p.enqueue(urgent)
	c.done()
	c = l.expect(urgent.Event.ID())
	p.identical(urgent, c.Job)
	c.retry(p.s.Unit)
	c = l.expect(crowd[1].Event.ID())
	for range 3 { // until the retry is due
		l.quiet("beyond the limit")
	}
	c.done()
	l.expect(urgent.Event.ID()).done()
	l.expect(crowd[2].Event.ID()).done()

	first, second, plain := p.keyed("b", "x"), p.keyed("b", "x"), p.job("b")
	second.Urgent = true
	p.enqueue(first, second, plain)
	l = p.open("b", 1)
	l.expect(first.Event.ID()).retry(p.s.Unit)
	l.expect(plain.Event.ID()).done()
	l.expect(first.Event.ID()).done()
	l.expect(second.Event.ID()).done()
}

func urgentRestartRule(p *probe) {
	crowd, urgent := p.jobs("a", urgentCrowd), p.urgent("a")
	p.enqueue(crowd...)
	p.enqueue(urgent)
	p.reopen()
	l := p.open("a", 1)
	c := l.expect(urgent.Event.ID())
	p.identical(urgent, c.Job)
	c.done()
	l.expect(crowd[0].Event.ID()).done()
}
