package queuetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func stopRule(p *probe) {
	l := p.open("a", 2)
	p.enqueue(p.jobs("a", 4)...)
	done, again := l.pair("e1", "e2")
	stopped := inBackground(l.halt)
	still(p, stopped, "Stop returned while handlers ran")
	if done.ctx.Err() != nil {
		p.fail("Stop cancelled a handler although its own ctx was not done")
	}
	done.done()
	l.expectNone("although the lane is being stopped")
	again.retry(0)
	p.must("Stop", wait(p, stopped, "Stop after the last handler"))
	l.expectNone("although the lane is stopped")
	p.enqueue(p.job("a"))
	l.q.Limit(4)
	l.expectNone("although the lane is stopped")

	l = p.open("a", 4)
	ran := map[string]int{}
	for range 4 {
		c := l.next()
		ran[c.Event.ID()] = c.Attempt
		c.done()
	}
	if attempt, ok := ran["e2"]; len(ran) != 4 || !ok || attempt != 1 {
		p.fail("after Stop and Open these ran with so many attempts: %v; want e2 with 1, e3, e4, e5", ran)
	}
	l.expectNone("beyond what was left")
}

func stopCancelRule(p *probe) {
	began := make(chan struct{}, 2)
	l := p.openWith("a", queue.LaneOptions{Limit: 2}, func(ctx context.Context, _ queue.Job) queue.Disposition {
		began <- struct{}{}
		select {
		case <-ctx.Done():
			return queue.Disposition{Action: queue.Postpone, Began: time.Now()}
		case <-p.over:
			return farAway()
		}
	})
	p.enqueue(p.jobs("a", 3)...)
	wait(p, began, "start of the first job")
	wait(p, began, "start of the second job")
	ctx, cancel := context.WithTimeout(p.ctx, p.s.Unit)
	defer cancel()
	l.halted = true
	p.must("Stop of handlers that obey their ctx", l.q.Stop(ctx))
	if ctx.Err() == nil {
		p.fail("Stop returned before its ctx was done, while handlers ran")
	}
	l = p.open("a", 1)
	for range 3 {
		c := l.next()
		if c.Attempt != 0 || !c.FirstTried.IsZero() {
			p.fail("job %s counts an attempt although its outcome was Postpone", c.ID())
		}
		c.done()
	}
}

func stuckRule(p *probe) {
	l := p.open("a", 2)
	p.enqueue(p.jobs("a", 3)...)
	one, two := l.next(), l.next()
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	l.halted = true
	began := time.Now()
	stopped := inBackground(func() error { return l.q.Stop(ctx) })
	wait(p, one.ctx.Done(), "end of a handler's ctx")
	wait(p, two.ctx.Done(), "end of a handler's ctx")
	still(p, stopped, "Stop returned as soon as it had cancelled the handlers")
	err := wait(p, stopped, "Stop")
	var stuck *queue.StillRunningError
	if !errors.As(err, &stuck) || stuck.Lane != "a" || stuck.Handlers != 2 {
		p.fail("Stop of 2 handlers that ignore their ctx: error %v, want a *StillRunningError with lane a and 2 handlers", err)
	}
	p.timely("the end of Stop's patience", began.Add(queue.StopGrace), time.Now())
	one.postpone(0)
	two.done()
	l = p.open("a", 4)
	ran := map[string]bool{}
	for range 2 {
		c := l.next()
		ran[c.ID()] = true
		c.done()
	}
	if !ran[one.ID()] || ran[two.ID()] {
		p.fail("after handlers that outlived Stop these ran: %v; want the postponed %s and the one that waited", ran, one.ID())
	}
	l.expectNone("although it was done after Stop")
}

func leaseRule(p *probe) {
	l := p.open("a", 2)
	p.enqueue(p.job("a"))
	c := l.expect("e1")
	stall := max(2*p.s.Lease, 3*p.s.Unit)
	for began := time.Now(); time.Since(began) < stall; {
		l.expectNone("that is with a handler already")
	}
	c.done()
	l.expectNone("that was done by a handler that had stalled")
}

func (l *lane) drain(ctx context.Context) <-chan error {
	return inBackground(func() error { return l.q.Drain(ctx, time.Time{}) })
}

func drainRule(p *probe) {
	l := p.open("a", 1)
	p.must("Drain of an empty lane", wait(p, l.drain(p.ctx), "Drain of an empty lane"))

	p.enqueue(p.delayed("a", time.Hour), p.job("a"), p.job("a"))
	drained := l.drain(p.ctx)
	c := l.expect("e2")
	still(p, drained, "Drain returned while jobs were due")
	c.done()
	c = l.expect("e3")
	still(p, drained, "Drain returned while a job ran")
	p.enqueue(p.job("a"))
	c.retry(time.Hour)
	c = l.expect("e4")
	still(p, drained, "Drain returned while a job ran that was added meanwhile")
	c.done()
	p.must("Drain", wait(p, drained, "Drain after the last job"))

	ctx, cancel := context.WithCancel(p.ctx)
	p.enqueue(p.job("a"))
	drained = l.drain(ctx)
	c = l.expect("e5")
	still(p, drained, "Drain returned while a job ran")
	cancel()
	if err := wait(p, drained, "Drain after its ctx"); !errors.Is(err, context.Canceled) {
		p.fail("Drain whose ctx was cancelled: error %v, want context.Canceled", err)
	}

	p.enqueue(p.job("a"))
	drained = l.drain(p.ctx)
	l.q.Limit(0)
	still(p, drained, "Drain of a paused lane returned while a job ran")
	c.done()
	p.must("Drain of a paused lane", wait(p, drained, "Drain of a paused lane after the last handler"))
}

func drainUntilRule(p *probe) {
	l := p.open("a", 1)
	until := time.Now().Add(time.Minute)
	p.enqueue(p.delayed("a", 2*p.s.Unit), p.delayed("a", time.Hour))
	drained := inBackground(func() error { return l.q.Drain(p.ctx, until) })
	still(p, drained, "Drain returned before a job that is due in its time had started")
	l.expect("e1").retry(2 * p.s.Unit)
	still(p, drained, "Drain returned before a retry that is due in its time")
	l.expect("e1").done()
	p.must("Drain", wait(p, drained, "Drain after the last job that is due in its time"))
	l.expectNone("that is due in an hour")
}

func drainRemovedRule(p *probe) {
	var asked atomic.Bool
	l := p.openWith("a", queue.LaneOptions{Limit: 1, Admit: func() time.Duration { asked.Store(true); return time.Hour }}, nil)
	p.enqueue(p.jobs("a", 2)...)
	p.until("Admit is asked", asked.Load)
	drained := l.drain(p.ctx)
	still(p, drained, "Drain returned while jobs were due that Admit holds")
	if n, err := p.q.Purge(p.ctx, "a"); n != 2 || err != nil {
		p.fail("Purge of 2 jobs: %d, %v", n, err)
	}
	p.must("Drain", wait(p, drained, "Drain after Purge"))
}
