package queuetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

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
	l.quiet("that is due in an hour")
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
