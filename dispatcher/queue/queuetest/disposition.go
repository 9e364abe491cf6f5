package queuetest

import (
	"context"
	"runtime"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func doneRule(p *probe) {
	l := p.open("a", 2)
	p.enqueue(p.job("a"))
	l.next().done()
	l.expectNone("that was done")
	l.stop()
	p.open("a", 2).expectNone("that was done, when the lane was opened again")
	p.counts("a", queue.Counts{})
}

func retryRule(p *probe) {
	l := p.open("a", 2)
	j := p.job("a")
	j.Headers = map[string]string{"trace": "1"}
	p.enqueue(j)
	first := time.Now().Add(-time.Minute)
	want := j
	for attempt := range 4 {
		c := l.next()
		want.NotBefore = c.NotBefore // when the retry was due
		p.identical(want, c.Job)
		c.settle(queue.Disposition{Action: queue.Retry, Began: first.Add(time.Duration(attempt) * time.Second)})
		want.Attempt, want.FirstTried = attempt+1, first
	}
	c := l.next()
	c.postpone(0)
	want.NotBefore = c.NotBefore
	c = l.next()
	want.NotBefore = c.NotBefore
	p.identical(want, c.Job)
	c.done()
}

func postponeRule(p *probe) {
	l := p.open("a", 2)
	j := p.job("a")
	p.enqueue(j)
	for _, d := range []time.Duration{0, p.s.Unit, 0} {
		c := l.next()
		j.NotBefore = c.NotBefore
		p.identical(j, c.Job)
		c.postpone(d)
	}
	l.next().done()
	l.expectNone("that was done")
}

func deadRule(p *probe) {
	l := p.open("a", 1)
	p.enqueue(p.jobs("a", 2)...)
	began := time.Now().Add(-time.Minute)
	tried := l.next()
	tried.settle(queue.Disposition{Action: queue.Dead, Reason: "gave up", Began: began})
	untried := l.next()
	untried.settle(queue.Disposition{Action: queue.Dead, Reason: "too old"})
	l.expectNone("that is dead")
	l.stop()
	p.open("a", 1).expectNone("that is dead, when the lane was opened again")
	if !p.q.Properties().Inspection {
		return
	}
	letters := p.letters(queue.Selection{})
	if len(letters) != 2 {
		p.fail("%d dead letters, want 2", len(letters))
	}
	tried.Attempt, tried.FirstTried = 1, began
	tried.NotBefore, untried.NotBefore = letters[0].NotBefore, letters[1].NotBefore
	p.identical(tried.Job, letters[0].Job)
	p.identical(untried.Job, letters[1].Job)
}

func panicRule(p *probe) {
	for _, crash := range []struct {
		name string
		f    func() queue.Disposition
	}{
		{"panics", func() queue.Disposition { panic("on purpose") }}, //nolint:forbidigo // the rule is about panics
		{"ends", func() queue.Disposition { runtime.Goexit(); return queue.Disposition{} }},
	} {
		l := p.open(crash.name, 1)
		p.enqueue(p.jobs(crash.name, 2)...)
		c := l.next()
		id, crashed := c.ID(), time.Now()
		c.answer <- crash.f
		other := l.next()
		if other.ID() == id {
			p.fail("the job whose handler %s ran again before the one that waited", crash.name)
		}
		other.done()
		c = l.next()
		if c.ID() != id || c.Attempt != 1 || c.FirstTried.IsZero() {
			p.fail("after a handler that %s job %s ran with attempt %d and FirstTried %v; want %s, 1 and when it was tried",
				crash.name, c.ID(), c.Attempt, c.FirstTried, id)
		}
		p.timely("the job whose handler "+crash.name, crashed.Add(time.Second), c.at)
		c.done()
		ctx, cancel := context.WithTimeout(p.ctx, p.s.Timeout)
		p.must("Drain", l.q.Drain(ctx, time.Time{}))
		cancel()
	}
}
