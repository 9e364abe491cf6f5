package queuetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func laneOrderRule(p *probe) {
	t := newTally()
	jobs := p.jobs("a", 50)
	p.enqueue(jobs[:25]...)
	p.openWith("a", queue.LaneOptions{Limit: 1}, t.done)
	for _, j := range jobs[25:] {
		p.enqueue(j)
	}
	t.await(p, len(jobs))
	t.inOrder(p, ids(jobs...))
}

// inOrder checks the order in which jobs ran.
func (t *tally) inOrder(p *probe, want []string) {
	p.tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if got := strings.Join(t.order, " "); got != strings.Join(want, " ") {
		p.fail("jobs ran in the order %s, want %s", got, strings.Join(want, " "))
	}
}

// pair is the next two handlers to start, by event id, in whatever order they start.
func (l *lane) pair(a, b string) (*call, *call) {
	l.p.tb.Helper()
	one, two := l.next(), l.next()
	if one.Event.ID() == b {
		one, two = two, one
	}
	if one.Event.ID() != a || two.Event.ID() != b {
		l.p.fail("lane %q started jobs %s and %s, want %s and %s", l.name, one.ID(), two.ID(), a, b)
	}
	return one, two
}

func keyedRule(p *probe) {
	l := p.open("a", 4)
	p.enqueue(p.keyed("a", "x"), p.keyed("a", "x"), p.keyed("a", "y"), p.keyed("a", "x"), p.keyed("a", "y"))
	x, y := l.pair("e1", "e3")
	l.expectNone("although its key is busy")
	y.done()
	y = l.expect("e5")
	x.done()
	x = l.expect("e2")
	l.expectNone("although its key is busy")
	p.enqueue(p.job("a"), p.job("a"))
	u, v := l.pair("e6", "e7")
	u.done()
	v.done()
	x.done()
	l.expect("e4").done()
	y.done()

	// Keys are a lane's own.
	p.enqueue(p.keyed("b", "x"), p.keyed("a", "x"))
	b := p.open("b", 1).expect("e8")
	l.expect("e9").done()
	b.done()
}

func keyedRetryRule(p *probe) {
	l := p.open("a", 4)
	p.enqueue(p.keyed("a", "x"), p.keyed("a", "x"), p.keyed("a", "y"), p.keyed("a", "x"))
	x, y := l.pair("e1", "e3")
	x.retry(10 * p.s.Unit) // far enough off for what follows, also on a busy machine
	l.expectNone("although the first of its key is to be retried")
	y.done()
	p.enqueue(p.keyed("a", "y"))
	l.expect("e5").done()
	l.expect("e1").retry(0)
	l.expect("e1").postpone(p.s.Unit)
	x = l.expect("e1")
	l.expectNone("although the first of its key runs again")
	x.done()
	l.expect("e2").dead("the rest goes on")
	l.expect("e4").done()
	l.expectNone("after the last")
}

func strictRule(p *probe) {
	const jobs = 30
	t := newTally()
	l := p.openWith("a", queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt < 2 && strings.HasSuffix(j.Event.ID(), "3") {
			return queue.Disposition{Action: queue.Retry, Delay: p.s.Unit * time.Duration(j.Attempt), Began: time.Now()}
		}
		t.add(j)
		return queue.Disposition{Action: queue.Done}
	})
	var want []string
	for range jobs {
		j := p.keyed("a", "the lane")
		want = append(want, j.Event.ID())
		p.enqueue(j)
	}
	t.await(p, jobs)
	t.inOrder(p, want)
	if most := l.mostAtOnce(); most != 1 {
		p.fail("%d handlers ran at a time", most)
	}
}

func enqueuersRule(p *probe) {
	const enqueuers, each, keys = 8, 24, 3
	t := newTally()
	var mu sync.Mutex
	busy := map[string]bool{}
	l := p.openWith("a", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
		mu.Lock()
		if busy[j.OrderKey] {
			p.note("two jobs of key %s ran at a time", j.OrderKey)
		}
		busy[j.OrderKey] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			busy[j.OrderKey] = false
		}()
		if n, _ := strconv.Atoi(j.Headers["n"]); n%7 == 0 && j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Delay: p.s.Unit / 25, Began: time.Now()}
		}
		t.add(j)
		return queue.Disposition{Action: queue.Done}
	})
	var wg sync.WaitGroup
	for e := range enqueuers {
		wg.Go(func() {
			for n := range each {
				id := fmt.Sprintf("%d-%d-%d", e, n%keys, n)
				j := queue.Job{
					Event: fact(id, ""), Lane: "a", OrderKey: strconv.Itoa(n % keys), Enqueued: time.Now(),
					Headers: map[string]string{"n": strconv.Itoa(n)},
				}
				if err := p.q.Enqueue(p.ctx, j); err != nil {
					p.note("Enqueue: %v", err)
				}
				l.q.Limit(1 + n%4)
			}
		})
	}
	wg.Wait()
	t.await(p, enqueuers*each)
	latest := map[string]int{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.order {
		cut := strings.LastIndexByte(id, '-')
		n, _ := strconv.Atoi(id[cut+1:])
		if before, ok := latest[id[:cut]]; ok && n < before {
			p.fail("job %d of one enqueuer and key ran after its job %d", n, before)
		}
		latest[id[:cut]] = n
	}
}

func keyedRestartRule(p *probe) {
	p.enqueue(p.keyed("a", "x"), p.keyed("a", "x"), p.keyed("a", "y"), p.keyed("a", "x"), p.keyed("a", "x"))
	l := p.open("a", 4)
	x, y := l.pair("e1", "e3")
	l.q.Limit(0)
	l.q.Limit(4)
	l.expectNone("although its key is busy, after a change of the limit")
	y.done()
	x.retry(2 * p.s.Unit)
	l.stop()
	if p.s.Reopen != nil {
		p.reopen()
	}
	l = p.open("a", 4)
	l.expect("e1").done()
	x = l.expect("e2")
	x.retry(0)
	l.expect("e2").done()
	l.expect("e4").done()
	l.expect("e5").done()
}

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
		l.expectNone("beyond the limit")
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
