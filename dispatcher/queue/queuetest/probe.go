package queuetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// reporter is the part of testing.TB the rules use.
type reporter interface {
	Helper()
	Fatal(args ...any)
}

// probe uses a queue on behalf of one rule.
type probe struct {
	t    *testing.T // for the hooks
	tb   reporter
	ctx  context.Context
	rule rule
	q    queue.Queue
	s    Suite
	made int // events

	over  chan struct{} // closed at the end: handlers give up
	once  sync.Once
	lanes []*lane

	mu      sync.Mutex
	problem string // the first one a handler saw
}

func newProbe(t *testing.T, tb reporter, r rule, s Suite) *probe {
	return &probe{t: t, tb: tb, ctx: t.Context(), rule: r, q: s.New(t), s: s, over: make(chan struct{})}
}

// fail ends the sub-test with what was seen and the rule.
func (p *probe) fail(format string, args ...any) {
	p.tb.Helper()
	p.tb.Fatal(fmt.Sprintf(format, args...) + "\nrule: " + p.rule.text)
}

// note is fail for other goroutines; it takes effect at the end.
func (p *probe) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem == "" {
		p.problem = fmt.Sprintf(format, args...)
	}
}

func (p *probe) must(call string, err error) {
	p.tb.Helper()
	if err != nil {
		p.fail("%s: %v", call, err)
	}
}

// end releases all handlers and stops all lanes.
func (p *probe) end() {
	p.once.Do(func() {
		close(p.over)
		for _, l := range p.lanes {
			if err := l.halt(); err != nil {
				p.note("Stop of lane %q at the end: %v", l.name, err)
			}
		}
	})
}

func (p *probe) finish() {
	p.tb.Helper()
	p.end()
	p.mu.Lock()
	problem := p.problem
	p.mu.Unlock()
	if problem != "" {
		p.fail("%s", problem)
	}
}

// reopen stops all lanes and opens the store again.
func (p *probe) reopen() {
	p.tb.Helper()
	for _, l := range p.lanes {
		if err := l.halt(); err != nil {
			p.fail("Stop of lane %q before the restart: %v", l.name, err)
		}
	}
	p.lanes = nil
	p.q = p.s.Reopen(p.t, p.q)
}

// wait returns once c is closed or has a value, and fails after the suite's patience.
func wait[T any](p *probe, c <-chan T, what string) (v T) {
	p.tb.Helper()
	timer := time.NewTimer(p.s.Timeout)
	defer timer.Stop()
	select {
	case v = <-c:
	case <-timer.C:
		p.fail("%s: not within %v", what, p.s.Timeout)
	}
	return v
}

// still fails when c is closed or has a value within a unit.
func still[T any](p *probe, c <-chan T, what string) {
	p.tb.Helper()
	timer := time.NewTimer(p.s.Unit)
	defer timer.Stop()
	select {
	case <-c:
		p.fail("%s", what)
	case <-timer.C:
	}
}

// inBackground runs f and returns a channel for its result.
func inBackground(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// until asks again and again, until ok or the suite's patience ends.
func (p *probe) until(what string, ok func() bool) {
	p.tb.Helper()
	deadline := time.Now().Add(p.s.Timeout)
	for !ok() {
		if time.Now().After(deadline) {
			p.fail("%s: not within %v", what, p.s.Timeout)
		}
		<-time.After(p.s.Unit / 10)
	}
}

// timely checks when something that was due at a time happened. A millisecond too early is forgiven: clocks are slewed.
func (p *probe) timely(what string, due, at time.Time) {
	p.tb.Helper()
	due, at = due.Round(0), at.Round(0)
	if at.Before(due.Add(-time.Millisecond)) {
		p.fail("%s started %v before its time", what, due.Sub(at))
	}
	if late := at.Sub(due); late > p.q.Properties().Precision+p.s.Slack {
		p.fail("%s started %v late; the stated precision is %v", what, late, p.q.Properties().Precision)
	}
}

// fact makes an event.
func fact(id, reason string) event.Event {
	return event.Must(event.GrantRevoked{Reason: reason}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

// job makes a job of a new event; its id is e1, e2 and so on.
func (p *probe) job(route string) queue.Job {
	p.made++
	return queue.Job{Event: fact(fmt.Sprintf("e%d", p.made), "because"), Lane: route, Enqueued: time.Now()}
}

func (p *probe) jobs(route string, n int) []queue.Job {
	jobs := make([]queue.Job, n)
	for i := range jobs {
		jobs[i] = p.job(route)
	}
	return jobs
}

// keyed makes a job with an order key.
func (p *probe) keyed(route, key string) queue.Job {
	j := p.job(route)
	j.OrderKey = key
	return j
}

// delayed makes a job with a later time.
func (p *probe) delayed(route string, d time.Duration) queue.Job {
	j := p.job(route)
	j.NotBefore = time.Now().Add(d)
	return j
}

func (p *probe) enqueue(jobs ...queue.Job) {
	p.tb.Helper()
	p.must("Enqueue", p.q.Enqueue(p.ctx, jobs...))
}

func ids(jobs ...queue.Job) []string {
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.Event.ID()
	}
	return names
}

// odd is a payload whose JSON no encoder would write the same way: order of keys, forms of numbers, escapes.
type odd struct{}

const oddJSON = `{"z":1.0,"a":1E+2,"n":123456789012345678901234567890,"u":"\u003cb\u003e \ud83d\udd14 é \u2028 \/","nested":{"b":[],"a":{}}}`

func (odd) EventType() event.Type        { return "queuetest.odd" }
func (odd) MarshalJSON() ([]byte, error) { return []byte(oddJSON), nil }

// oddEvent uses every field of an event.
func oddEvent(id string) event.Event {
	return event.Must(odd{}, event.Meta{
		ID: id, Source: "https://pam.example/ü", Tenant: "tenant 'a' \"b\"", Subject: "request/1.2:3 – ü",
		Time:       time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.UTC),
		Attributes: map[string]string{"external_key": "k\n\"1\"", "a.b-c": ""},
	})
}
