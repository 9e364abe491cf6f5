package queuetest

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// gate is an Admit that a rule opens and closes.
type gate struct {
	wait  atomic.Int64 // what it answers
	asked atomic.Int32
	let   atomic.Int32 // how often it answered 0
	at    atomic.Int64 // when it last said to wait, Unix nanoseconds
	busy  atomic.Bool
	twice atomic.Bool // asked while it was being asked
}

func (g *gate) admit() time.Duration {
	if !g.busy.CompareAndSwap(false, true) {
		g.twice.Store(true)
	}
	defer g.busy.Store(false)
	g.asked.Add(1)
	d := g.wait.Load()
	if d <= 0 {
		g.let.Add(1)
	} else {
		g.at.Store(time.Now().UnixNano())
	}
	return time.Duration(d)
}

func admitRule(p *probe) {
	var g gate
	l := p.openWith("a", queue.LaneOptions{Limit: 4, Admit: g.admit}, nil)
	l.quiet("that nobody enqueued")
	g.wait.Store(int64(p.s.Unit))
	p.enqueue(p.job("a"))
	p.until("Admit is asked", func() bool { return g.asked.Load() > 0 })
	g.wait.Store(0)
	said := time.Unix(0, g.at.Load())
	c := l.next()
	p.timely("a job that Admit held", said.Add(p.s.Unit), c.at)
	c.done()

	g.wait.Store(math.MaxInt64)
	asked := g.asked.Load()
	p.enqueue(p.jobs("a", 6)...)
	l.quiet("although Admit said to wait")
	if n := g.asked.Load() - asked; n < 1 || n > 20 {
		p.fail("Admit was asked %d times while it said to wait for ever", n)
	}
	g.wait.Store(0)
	l.quiet("although Admit had said to wait, and the limit was not set")
	l.q.Limit(3)
	calls := []*call{l.next(), l.next(), l.next()}
	if n := g.let.Load(); n != 4 {
		p.fail("Admit let %d jobs start, 4 did", n)
	}
	l.q.Limit(6)
	calls = append(calls, l.next(), l.next(), l.next())
	calls[0].retry(0)
	calls[0] = l.next()
	for _, c := range calls {
		c.done()
	}
	if n := g.let.Load(); n != 8 {
		p.fail("Admit let %d starts happen, there were 8", n)
	}
	if g.twice.Load() {
		p.fail("Admit was called while another call of the same lane ran")
	}
}

func admitReopenRule(p *probe) {
	var g gate
	g.wait.Store(int64(time.Hour))
	l := p.openWith("a", queue.LaneOptions{Limit: 1, Admit: g.admit}, nil)
	p.enqueue(p.job("a"))
	p.until("Admit is asked", func() bool { return g.asked.Load() > 0 })
	l.stop()
	p.open("a", 1).expect("e1").done()
}
