package queuetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

func openRule(p *probe) {
	p.enqueue(p.job("a"))
	l := p.open("a", 1)
	if _, err := p.q.Open("a", queue.LaneOptions{Limit: 1}, l.ask); !errors.Is(err, queue.ErrLaneOpen) {
		p.fail("Open of an open lane: error %v, want ErrLaneOpen", err)
	}
	l.expect("e1").done()
	l.stop()
	p.enqueue(p.job("a"))
	p.open("a", 1).expect("e2").done()
	p.open("b", 0)
}

func waitsRule(p *probe) {
	p.open("other", 1)
	p.enqueue(p.job("a"), p.job("a"), p.job("b"))
	p.enqueue()
	a := newTally()
	p.openWith("a", queue.LaneOptions{Limit: 1}, a.done)
	a.await(p, 2)
	p.open("b", 1).expect("e3").done()
}

func contextRule(p *probe) {
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	refused := func(call string, err error) {
		if !errors.Is(err, context.Canceled) {
			p.fail("%s with ctx cancelled: error %v, want context.Canceled", call, err)
		}
	}
	l := p.open("a", 1)
	p.enqueue(p.delayed("later", time.Hour))
	refused("Enqueue", p.q.Enqueue(ctx, p.job("a")))
	if p.q.Properties().Scheduling {
		refused("Schedule", p.q.Schedule(ctx, "key", p.job("a")))
		p.must("Schedule", p.q.Schedule(p.ctx, "key", p.delayed("later", time.Hour)))
		_, err := p.q.Cancel(ctx, "later", "key")
		refused("Cancel", err)
		if found, err := p.q.Cancel(p.ctx, "later", "key"); err != nil || !found {
			p.fail("Cancel with ctx cancelled removed the job")
		}
	}
	if p.q.Properties().Inspection {
		_, err := p.q.Purge(ctx, "later")
		refused("Purge", err)
		p.counts("later", queue.Counts{Later: 1})
		_, err = p.q.Lanes(ctx)
		refused("Lanes", err)
		_, err = p.q.Count(ctx, "later")
		refused("Count", err)
		_, err = p.q.DeadLetters(ctx, queue.Selection{})
		refused("DeadLetters", err)
		_, err = p.q.Requeue(ctx, queue.Selection{}, 1)
		refused("Requeue", err)
		_, err = p.q.Discard(ctx, queue.Selection{})
		refused("Discard", err)
	}
	l.expectNone("although ctx was done when it was enqueued")
}

func knownRule(p *probe) {
	j := p.job("a")
	p.enqueue(j)
	p.enqueue(j)
	l := p.open("a", 4)
	c := l.expect("e1")
	l.expectNone("a second time: enqueued twice")
	p.enqueue(j, j)
	l.expectNone("while it runs: enqueued again")
	c.retry(0)
	c = l.expect("e1")
	c.done()
	p.enqueue(j)
	l.expectNone("that was done: enqueued again")

	elsewhere := j
	elsewhere.Lane = "b"
	again := j
	again.Generation = 7
	p.enqueue(j, elsewhere, again)
	if c := l.next(); c.Generation != 7 {
		p.fail("lane a started generation %d, want 7", c.Generation)
	} else {
		c.done()
	}
	p.open("b", 1).expect("e1").done()
	l.expectNone("besides the new generation")
}

func knownRaceRule(p *probe) {
	t := newTally()
	p.openWith("a", queue.LaneOptions{Limit: 4}, t.done)
	jobs := p.jobs("a", 50)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			<-start
			for _, j := range jobs {
				if err := p.q.Enqueue(p.ctx, j); err != nil {
					p.note("Enqueue: %v", err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	t.await(p, len(jobs))
	p.enqueue(p.job("a"))
	t.await(p, len(jobs)+1)
}

func conflictRule(p *probe) {
	a, b := p.open("a", 4), p.open("b", 4)
	meta := event.Meta{ID: "e", Tenant: "tenant", Subject: "subject"}
	known := queue.Job{Event: event.Must(event.GrantRevoked{Reason: "one"}, meta), Lane: "a", Enqueued: time.Now()}
	p.enqueue(known)
	a.expect("e").done()
	conflict := func(what string, jobs ...queue.Job) {
		p.tb.Helper()
		var conflict *queue.ConflictError
		if err := p.q.Enqueue(p.ctx, jobs...); !errors.As(err, &conflict) {
			p.fail("Enqueue of a known id with %s: error %v, want a *ConflictError", what, err)
		}
		if want := jobs[len(jobs)-1].Event.ID(); conflict.EventID != want {
			p.fail("the *ConflictError for %s names event %q, want %q", what, conflict.EventID, want)
		}
	}
	other := known
	other.Event = event.Must(event.GrantRevoked{Reason: "two"}, meta)
	elsewhere := other
	elsewhere.Lane = "b"
	conflict("other data", other, elsewhere)
	elsewhere.Event = event.Must(event.GrantExpired{}, meta)
	conflict("another type", elsewhere)
	meta.Tenant = "another"
	elsewhere.Event = event.Must(event.GrantRevoked{Reason: "one"}, meta)
	conflict("another tenant", elsewhere)
	meta.Tenant, meta.Subject = "tenant", "another"
	elsewhere.Event = event.Must(event.GrantRevoked{Reason: "one"}, meta)
	conflict("another subject", elsewhere)

	meta.ID = "new"
	first := queue.Job{Event: event.Must(event.GrantRevoked{Reason: "one"}, meta), Lane: "b", Enqueued: time.Now()}
	second := first
	second.Event = event.Must(event.GrantRevoked{Reason: "two"}, meta)
	conflict("other data in one call", first, second)
	a.expectNone("of a conflict")
	b.expectNone("of a conflict")

	// The known event itself is still welcome, in another encoding of the same time or none.
	elsewhere.Event = known.Event
	p.enqueue(elsewhere)
	b.expect("e").done()
}

func identicalRule(p *probe) {
	whole := queue.Job{
		Event: oddEvent("odd"), OrderKey: "key/1.2:3 – ü *>", Generation: 1_700_000_000_123_456_789,
		Enqueued: time.Now().Add(-time.Hour + 123), FirstTried: time.Now().Add(-time.Minute + 456), Attempt: 3,
		Headers: map[string]string{"traceparent": "00-ab-cd-01", "odd \"name\"": "line\nfeed ü", "empty": ""},
	}
	timed := whole
	timed.Event, timed.NotBefore = oddEvent("timed"), time.Now().Add(p.s.Unit)
	bare := queue.Job{Event: fact("bare", "<&>"), Enqueued: time.Now()}
	lanes := []string{"plain", "Odd lane/1.2:3 *> – ü", strings.Repeat("x", 100)}
	for _, name := range lanes {
		l := p.open(name, 1)
		for _, want := range []queue.Job{whole, timed, bare} {
			want.Lane = name
			p.enqueue(want)
			c := l.next()
			p.identical(want, c.Job)
			c.done()
		}
	}
}

func (p *probe) identical(want, got queue.Job) {
	p.tb.Helper()
	for _, f := range []struct {
		name  string
		equal bool
	}{
		{"ID", want.ID() == got.ID()},
		{"Event.Data", bytes.Equal(want.Event.Data(), got.Event.Data())},
		{"Event.JSON", bytes.Equal(want.Event.JSON(), got.Event.JSON())},
		{"Route", want.Lane == got.Lane},
		{"OrderKey", want.OrderKey == got.OrderKey},
		{"Generation", want.Generation == got.Generation},
		{"Enqueued", want.Enqueued.Equal(got.Enqueued)},
		{"NotBefore", want.NotBefore.Equal(got.NotBefore)},
		{"FirstTried", want.FirstTried.Equal(got.FirstTried)},
		{"Urgent", want.Urgent == got.Urgent || !p.q.Properties().Urgency},
		{"Attempt", want.Attempt == got.Attempt},
		{"Headers", maps.Equal(want.Headers, got.Headers)},
	} {
		if !f.equal {
			p.fail("%s of job %s changed on the way: want %+v with %s, got %+v with %s",
				f.name, want.Event.ID(), want, want.Event.JSON(), got, got.Event.JSON())
		}
	}
}
