package queuetest

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func limitRule(p *probe) {
	l := p.open("a", 3)
	jobs := p.jobs("a", 12)
	p.enqueue(jobs...)
	var held []*call
	take := func(n int, why string) {
		p.tb.Helper()
		for range n {
			held = append(held, l.next())
		}
		l.expectNone(why)
	}
	settle := func(n int) {
		for range n {
			held[0].done()
			held = held[1:]
		}
	}
	take(3, "beyond limit 3")
	l.q.Limit(5)
	take(2, "beyond limit 5")
	l.q.Limit(2)
	settle(3)
	l.expectNone("beyond limit 2, which two others use")
	settle(1)
	take(1, "beyond limit 2")
	l.q.Limit(0)
	settle(2)
	l.expectNone("although the limit is 0")
	l.q.Limit(-1)
	l.expectNone("although the limit is below 0")
	l.q.Limit(2)
	take(2, "beyond limit 2 after a pause")
	l.q.Limit(1)
	l.q.Limit(4)
	take(2, "beyond limit 4")
	settle(4)
	take(2, "beyond the last job")
	settle(2)
	if most := l.mostAtOnce(); most > 5 {
		p.fail("%d handlers ran at a time, the greatest limit was 5", most)
	}

	paused := p.open("b", 0)
	p.enqueue(p.job("b"))
	paused.expectNone("although the lane was opened with limit 0")
	paused.q.Limit(1)
	paused.next().done()
}

func liveLimitRule(p *probe) {
	const jobs, greatest = 400, 4
	t := newTally()
	l := p.openWith("a", queue.LaneOptions{Limit: 1}, func(ctx context.Context, j queue.Job) queue.Disposition {
		<-time.After(p.s.Unit / 100) // long enough for one too many to be there at the same time
		return t.done(ctx, j)
	})
	stop := make(chan struct{})
	changed := inBackground(func() error {
		for n := 0; ; n++ {
			select {
			case <-stop:
				l.q.Limit(greatest)
				return nil
			case <-p.over:
				return nil
			default:
				l.q.Limit(n % (greatest + 1))
			}
			<-time.After(p.s.Unit / 500)
		}
	})
	for _, j := range p.jobs("a", jobs) {
		p.enqueue(j)
	}
	close(stop)
	p.must("Limit", wait(p, changed, "the last change of the limit"))
	t.await(p, jobs)
	if most := l.mostAtOnce(); most > greatest {
		p.fail("%d handlers ran at a time, the greatest limit was %d", most, greatest)
	}
}

func isolationRule(p *probe) {
	const live, each = 9, 20
	hanging := make(chan struct{}, 4)
	p.openWith("dead", queue.LaneOptions{Limit: 4}, func(context.Context, queue.Job) queue.Disposition {
		select {
		case hanging <- struct{}{}:
		case <-p.over:
		}
		<-p.over
		return farAway()
	})
	failing := make(chan struct{}, 1)
	p.openWith("failing", queue.LaneOptions{Limit: 4}, func(context.Context, queue.Job) queue.Disposition {
		select {
		case failing <- struct{}{}:
		default:
		}
		return queue.Disposition{Action: queue.Retry, Delay: p.s.Unit, Began: time.Now()}
	})
	p.enqueue(p.jobs("dead", p.s.Crowd)...)
	p.enqueue(p.jobs("failing", 100)...)
	for range 4 {
		wait(p, hanging, "start of the dead lane's jobs")
	}
	wait(p, failing, "start of the failing lane's jobs")
	t := newTally()
	var latest atomic.Int64
	for i := range live {
		p.openWith(string(rune('a'+i)), queue.LaneOptions{Limit: 1}, func(ctx context.Context, j queue.Job) queue.Disposition {
			if d := int64(time.Since(j.Enqueued)); d > latest.Load() {
				latest.Store(d)
			}
			return t.done(ctx, j)
		})
	}
	for range each {
		var jobs []queue.Job
		for i := range live {
			jobs = append(jobs, p.job(string(rune('a'+i))))
		}
		p.enqueue(jobs...)
	}
	t.await(p, live*each)
	if late := time.Duration(latest.Load()); late > p.q.Properties().Precision+p.s.Slack {
		p.fail("a job of a live lane started %v after it was enqueued", late)
	}
}

// floodRule has lanes full of jobs, of which only a few may run for each job that is not to wait for them.
func floodRule(p *probe) {
	const noisy, limit, quiet, steps = 8, 4, 20, 8
	bounded := p.q.Properties().Bounded
	proceed := make(chan struct{}, quiet*steps)
	handler := func(ctx context.Context, j queue.Job) queue.Disposition {
		select {
		case <-proceed:
		case <-ctx.Done():
			return queue.Disposition{Action: queue.Postpone}
		case <-p.over:
			return farAway()
		}
		if j.Attempt == 0 && len(j.Event.ID())%2 == 0 {
			return queue.Disposition{Action: queue.Retry, Began: time.Now()}
		}
		return queue.Disposition{Action: queue.Done}
	}
	var flood []queue.Job
	for i := range noisy {
		name := fmt.Sprintf("noisy%d", i)
		p.q.Bound(name, queue.Bound{Jobs: p.s.Crowd, Group: "noisy", GroupJobs: p.s.Crowd})
		flood = append(flood, p.jobs(name, p.s.Crowd/noisy)...)
	}
	p.q.Bound("quiet", queue.Bound{Jobs: 1, Group: "quiet", GroupJobs: 1})
	p.enqueue(flood...)
	for i := range noisy {
		p.openWith(fmt.Sprintf("noisy%d", i), queue.LaneOptions{Limit: limit}, handler)
	}
	l := p.open("quiet", 1)
	for range quiet {
		for bounded && p.q.Enqueue(p.ctx, p.job("noisy0")) == nil { // what runs has left room
		}
		j := p.job("noisy1")
		k := j
		k.Lane = "quiet"
		if err := p.q.Enqueue(p.ctx, j, k); err != nil {
			p.refused(err, "noisy1")
		}
		for range steps {
			proceed <- struct{}{}
		}
		l.expect(k.Event.ID()).done()
	}
}

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
	l.expectNone("that nobody enqueued")
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
	l.expectNone("although Admit said to wait")
	if n := g.asked.Load() - asked; n < 1 || n > 20 {
		p.fail("Admit was asked %d times while it said to wait forever", n)
	}
	g.wait.Store(0)
	l.expectNone("although Admit had said to wait, and the limit was not set")
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
