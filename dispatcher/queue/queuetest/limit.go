package queuetest

import (
	"context"
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
		l.quiet(why)
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
	l.quiet("beyond limit 2, which two others use")
	settle(1)
	take(1, "beyond limit 2")
	l.q.Limit(0)
	settle(2)
	l.quiet("although the limit is 0")
	l.q.Limit(-1)
	l.quiet("although the limit is below 0")
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
	paused.quiet("although the lane was opened with limit 0")
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
		return gaveUp()
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
