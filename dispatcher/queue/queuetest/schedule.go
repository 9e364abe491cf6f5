package queuetest

import (
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
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
	l.expectNone("that is to be retried in 292 years")
}

func (p *probe) schedule(key string, j queue.Job) {
	p.tb.Helper()
	p.must("Schedule", p.q.Schedule(p.ctx, key, j))
}

func (p *probe) cancel(lane, key string, want bool, why string) {
	p.tb.Helper()
	found, err := p.q.Cancel(p.ctx, lane, key)
	p.must("Cancel", err)
	if found != want {
		p.fail("Cancel of key %q in lane %q, %s: %v, want %v", key, lane, why, found, want)
	}
}

func scheduleRule(p *probe) {
	l := p.open("a", 1)
	p.cancel("a", "k", false, "never scheduled")
	p.schedule("k", p.delayed("a", p.s.Unit))
	c := l.expect("e1")
	p.timely("a scheduled job", c.NotBefore, c.at)
	p.cancel("a", "k", false, "running")
	c.retry(p.s.Unit)
	c = l.expect("e1")
	c.done()
	p.cancel("a", "k", false, "done")

	p.schedule("k", p.delayed("a", p.s.Unit))
	p.cancel("a", "k", true, "waiting for its time")
	p.cancel("a", "k", false, "cancelled before")
	<-time.After(p.s.Unit)
	l.expectNone("that was cancelled")

	p.schedule("k", p.job("a"))
	c = l.expect("e3")
	p.schedule("due", p.job("a"))
	p.cancel("a", "due", true, "due, while the lane is busy")
	c.done()
	l.expectNone("that was cancelled")
}

func postponedRule(p *probe) {
	l := p.open("a", 1)
	p.schedule("k", p.job("a"))
	l.expect("e1").postpone(p.s.Unit)
	l.expect("e1").postpone(time.Hour)
	p.counts("a", queue.Counts{Later: 1})
	p.cancel("a", "k", true, "postponed")
	p.counts("a", queue.Counts{})

	p.schedule("k", p.job("a"))
	c := l.expect("e2")
	p.schedule("k", p.delayed("a", time.Hour))
	c.postpone(time.Hour)
	p.until("the outcome is applied", func() bool {
		c, err := p.q.Count(p.ctx, "a")
		return err == nil && c.Running == 0
	})
	p.cancel("a", "k", true, "used again while the first one ran")
	p.counts("a", queue.Counts{})
}

func replaceRule(p *probe) {
	a, b := p.open("a", 4), p.open("b", 4)
	p.schedule("k", p.delayed("a", time.Hour))
	p.schedule("k", p.delayed("b", p.s.Unit))
	p.schedule("k", p.delayed("a", p.s.Unit))
	p.schedule("other", p.delayed("a", 6*p.s.Unit)) // so late that e3 starts first on a slow machine too
	b.expect("e2").done()
	running := a.expect("e3")
	p.schedule("k", p.delayed("a", 2*p.s.Unit)) // due by when e4 is, but not before it is replaced
	p.schedule("k", p.delayed("a", time.Hour))
	a.expect("e4").done()
	a.expectNone("that was replaced")
	p.cancel("a", "k", true, "scheduled while the previous one runs")
	running.done()
	p.cancel("b", "k", false, "done in its lane")
}

func scheduleRestartRule(p *probe) {
	p.schedule("k", p.delayed("a", time.Hour))
	p.schedule("fires", p.delayed("a", p.s.Unit))
	p.schedule("cancelled", p.delayed("a", p.s.Unit))
	p.cancel("a", "cancelled", true, "before a restart")
	p.schedule("replaced", p.delayed("a", p.s.Unit))
	p.schedule("replaced", p.delayed("a", time.Hour))
	p.reopen()
	p.cancel("a", "k", true, "after a restart")
	p.cancel("a", "cancelled", false, "cancelled before the restart")
	l := p.open("a", 1)
	c := l.expect("e2")
	p.cancel("a", "fires", false, "running")
	c.done()
	l.expectNone("that was cancelled or replaced before the restart")
	p.cancel("a", "replaced", true, "scheduled in place of another before the restart")
}
