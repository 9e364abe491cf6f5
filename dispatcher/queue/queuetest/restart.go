package queuetest

import (
	"errors"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func restartRule(p *probe) {
	l := p.open("a", 1)
	jobs := p.jobs("a", 4)
	jobs[1].Headers = map[string]string{"trace": "1"}
	elsewhere := p.job("b")
	elsewhere.Event = oddEvent("odd")
	p.enqueue(jobs...)
	p.enqueue(elsewhere)
	began := time.Now().Add(-time.Minute)
	l.expect("e1").done()
	l.expect("e2").settle(queue.Disposition{Action: queue.Retry, Delay: 3 * p.s.Unit, Began: began})
	c := l.expect("e3")
	l.q.Limit(0)
	// Only now, because their time may come before the others have started, on a busy machine.
	timed := []queue.Job{p.delayed("a", p.s.Unit), p.delayed("a", -time.Hour)}
	p.enqueue(timed...)
	jobs = append(jobs, timed...)
	c.dead("no use")
	l.stop()
	p.reopen()

	p.enqueue(jobs...) // all known
	other := p.job("b")
	other.Event = fact("e1", "another reason")
	var conflict *queue.ConflictError
	if err := p.q.Enqueue(p.ctx, other); !errors.As(err, &conflict) {
		p.fail("Enqueue of an id known from before a restart with other data: error %v, want a *ConflictError", err)
	}
	jobs[1].Attempt, jobs[1].FirstTried = 1, began
	want := map[string]queue.Job{"e2": jobs[1], "e4": jobs[3], timed[0].Event.ID(): timed[0], timed[1].Event.ID(): timed[1]}
	l = p.open("a", 4)
	for range len(want) {
		c := l.next()
		w, ok := want[c.Event.ID()]
		if !ok {
			p.fail("after a restart job %s ran, which was settled or ran before", c.ID())
		}
		delete(want, c.Event.ID())
		if w.Event.ID() == "e2" {
			w.NotBefore = c.NotBefore
		}
		p.identical(w, c.Job)
		if time.Now().Before(w.NotBefore.Add(-time.Millisecond)) {
			p.fail("after a restart job %s ran before its time", c.ID())
		}
		c.done()
	}
	l.expectNone("that was settled before the restart")
	c = p.open("b", 1).next()
	p.identical(elsewhere, c.Job)
	c.done()
	p.counts("a", queue.Counts{Dead: 1})
}

func deadRestartRule(p *probe) {
	l := p.open("a", 1)
	keyed := p.keyed("a", "x")
	keyed.Event, keyed.Headers = oddEvent("odd"), map[string]string{"trace": "1"}
	p.enqueue(keyed)
	l.markDead(1)
	p.enqueue(p.jobs("a", 3)...)
	l.markDead(3)
	l.stop() // so that nobody has taken what is requeued: a queue of several processes could not know that it is with nobody
	p.enqueue(p.jobs("purged", 2)...)
	before := p.letters(queue.Selection{})
	removed := func(what string, n int, err error) {
		p.tb.Helper()
		p.must(what, err)
		if n == 0 {
			p.fail("%s of what is there: 0", what)
		}
	}
	n, err := p.q.Purge(p.ctx, "purged")
	removed("Purge", n, err)
	n, err = p.q.Discard(p.ctx, queue.Selection{IDs: []string{before[1].ID()}})
	removed("Discard", n, err)
	n, err = p.q.Requeue(p.ctx, queue.Selection{IDs: []string{before[2].ID()}}, 9)
	removed("Requeue", n, err)
	p.reopen()

	letters := p.letters(queue.Selection{})
	if len(letters) != 2 {
		p.fail("%d dead letters after a restart, want the 2 of 4 that were not discarded or requeued", len(letters))
	}
	for n, was := range []queue.DeadLetter{before[0], before[3]} {
		p.identical(was.Job, letters[n].Job)
		if letters[n].Seq != was.Seq || !letters[n].At.Equal(was.At) || letters[n].Reason != was.Reason {
			p.fail("dead letter %s is %d, %v, %q after a restart, was %d, %v, %q", was.ID(), letters[n].Seq, letters[n].At,
				letters[n].Reason, was.Seq, was.At, was.Reason)
		}
	}
	p.counts("purged", queue.Counts{})
	p.counts("a", queue.Counts{Due: 1, Dead: 2})
	l = p.open("a", 1)
	c := l.expect(before[2].Event.ID())
	c.dead("again")
	c.settledDead()
	if letters = p.letters(queue.Selection{After: before[3].Seq}); len(letters) != 1 || letters[0].Generation != 9 {
		p.fail("a dead letter after a restart has a Seq that was in use before: %v", letters)
	}
}

// crowd enqueues Suite.Crowd jobs.
func (p *probe) crowd(lane string) []queue.Job {
	p.tb.Helper()
	jobs := p.jobs(lane, p.s.Crowd)
	for some := range slices.Chunk(jobs, 100) {
		p.enqueue(some...)
	}
	return jobs
}

func crowdRule(p *probe) {
	p.makeRoom("a", p.s.Crowd)
	jobs := p.crowd("a")
	began := time.Now()
	p.reopen()
	p.makeRoom("a", p.s.Crowd)
	t := newTally()
	p.openWith("a", queue.LaneOptions{Limit: 4}, t.done)
	wait(p, t.changed, "start of the first job")
	if took := time.Since(began); took > time.Second+p.s.Slack {
		p.fail("the first of %d jobs started %v after the store was opened", len(jobs), took)
	}
	t.await(p, len(jobs))
	p.counts("a", queue.Counts{})
}
