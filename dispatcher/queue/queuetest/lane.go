package queuetest

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is an open lane under observation. Its handlers ask the rule what to answer.
type lane struct {
	p     *probe
	name  string
	q     queue.Lane
	calls chan *call // handlers that have started

	mu            sync.Mutex
	running, most int
	halted        bool
}

// call is a handler that has started and waits for its answer.
type call struct {
	lane *lane
	queue.Job
	ctx    context.Context
	at     time.Time
	answer chan func() queue.Disposition
}

// open opens a lane whose handlers wait for the rule.
func (p *probe) open(name string, limit int) *lane {
	p.tb.Helper()
	return p.openWith(name, queue.LaneOptions{Limit: limit}, nil)
}

// openWith opens a lane with a handler of its own; nil = handlers that wait for the rule.
func (p *probe) openWith(name string, o queue.LaneOptions, h queue.Handler) *lane {
	p.tb.Helper()
	l := &lane{p: p, name: name, calls: make(chan *call)}
	if h == nil {
		h = l.ask
	}
	q, err := p.q.Open(name, o, func(ctx context.Context, j queue.Job) queue.Disposition {
		l.count(1)
		defer l.count(-1)
		return h(ctx, j)
	})
	p.must("Open of lane "+name, err)
	l.q = q
	p.lanes = append(p.lanes, l)
	return l
}

func (l *lane) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running += n
	l.most = max(l.most, l.running)
}

// mostAtOnce is how many handlers ran at a time, at most, since it was last asked.
func (l *lane) mostAtOnce() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.most
	l.most = l.running
	return most
}

// farAway is the answer of a handler whose rule is over: far away, so that the job does not come again.
func farAway() queue.Disposition { return queue.Disposition{Action: queue.Postpone, Delay: time.Hour} }

func (l *lane) ask(ctx context.Context, j queue.Job) queue.Disposition {
	c := &call{lane: l, Job: j, ctx: ctx, at: time.Now(), answer: make(chan func() queue.Disposition, 1)}
	select {
	case l.calls <- c:
	case <-ctx.Done():
		return queue.Disposition{Action: queue.Postpone}
	case <-l.p.over:
		return farAway()
	}
	select {
	case f := <-c.answer:
		return f()
	case <-l.p.over:
		return farAway()
	}
}

// next is the next handler to start.
func (l *lane) next() *call {
	l.p.tb.Helper()
	return wait(l.p, l.calls, "start of a job in lane "+l.name)
}

// expect is next with the event's id to expect.
func (l *lane) expect(id string) *call {
	l.p.tb.Helper()
	c := l.next()
	if c.Event.ID() != id {
		l.p.fail("lane %q started job %s, want %s", l.name, c.Event.ID(), id)
	}
	return c
}

// expectNone checks that nothing starts for a unit.
func (l *lane) expectNone(why string) {
	l.p.tb.Helper()
	timer := time.NewTimer(l.p.s.Unit)
	defer timer.Stop()
	select {
	case c := <-l.calls:
		l.p.fail("lane %q started job %s %s", l.name, c.ID(), why)
	case <-timer.C:
	}
}

// halt stops the lane once.
func (l *lane) halt() error {
	l.mu.Lock()
	halted := l.halted
	l.halted = true
	l.mu.Unlock()
	if halted {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.p.s.Patience)
	defer cancel()
	return l.q.Stop(ctx)
}

// stop stops the lane on behalf of the rule, which has answered all calls.
func (l *lane) stop() {
	l.p.tb.Helper()
	l.p.must("Stop of lane "+l.name, l.halt())
}

func (c *call) settle(o queue.Disposition) { c.answer <- func() queue.Disposition { return o } }
func (c *call) done()                      { c.settle(queue.Disposition{Action: queue.Done, Began: c.at}) }
func (c *call) retry(d time.Duration) {
	c.settle(queue.Disposition{Action: queue.Retry, Delay: d, Began: c.at})
}
func (c *call) postpone(d time.Duration) {
	c.settle(queue.Disposition{Action: queue.Postpone, Delay: d, Began: c.at})
}
func (c *call) dead(reason string) {
	c.settle(queue.Disposition{Action: queue.Dead, Reason: reason, Began: c.at})
}

// tally is a handler's record of which jobs ran how often.
type tally struct {
	mu      sync.Mutex
	runs    map[string]int
	order   []string // event ids as they ran
	changed chan struct{}
}

func newTally() *tally { return &tally{runs: map[string]int{}, changed: make(chan struct{}, 1)} }

func (t *tally) add(j queue.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs[j.ID()]++
	t.order = append(t.order, j.Event.ID())
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// done is a handler that counts the job and is done with it.
func (t *tally) done(_ context.Context, j queue.Job) queue.Disposition {
	t.add(j)
	return queue.Disposition{Action: queue.Done}
}

func (t *tally) distinct() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.runs)
}

// await waits for n different jobs, of which none may have run twice.
func (t *tally) await(p *probe, n int) {
	p.tb.Helper()
	timer := time.NewTimer(p.s.Patience)
	defer timer.Stop()
	for t.distinct() < n {
		select {
		case <-t.changed:
		case <-timer.C:
			p.fail("%d of %d jobs ran within %v", t.distinct(), n, p.s.Patience)
		}
	}
	t.once(p)
}

func (t *tally) once(p *probe) {
	p.tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, n := range t.runs {
		if n != 1 {
			p.fail("job %s ran %d times", id, n)
		}
	}
}
