package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// at is a time with all its digits.
func at() time.Time { return time.Unix(4_000_000_000, 123_456_789) }

const stamp = "2096-10-02T07:06:40.123456789Z"

func scheduleRule(p *probe) {
	tx := p.begin()
	exec := outbox.SQL(tx)
	p.must(p.box.Dispatch(p.ctx, exec, made("e1")))
	p.must(p.box.Schedule(p.ctx, exec, at(), "k\x00\xff1", made("s1")))
	p.must(p.box.Dispatch(p.ctx, exec, made("e2"), made("e3")))
	p.must(p.box.Cancel(p.ctx, exec, "k2"))
	p.must(p.box.Schedule(p.ctx, exec, time.Time{}, "k3", made("s3"))) // in the past: now
	p.must(tx.Commit())
	p.relayed(newSink(), "e1", "schedule k\x00\xff1 s1 "+stamp, "e2", "e3", "cancel k2",
		"schedule k3 s3 "+time.Unix(0, -1<<63).UTC().Format(time.RFC3339Nano))
}

func supersededRule(p *probe) {
	for _, write := range []func(outbox.Tx) error{
		func(tx outbox.Tx) error { return p.box.Schedule(p.ctx, tx, at(), "cancelled", made("s1")) },
		func(tx outbox.Tx) error { return p.box.Schedule(p.ctx, tx, at(), "replaced", made("s2")) },
		func(tx outbox.Tx) error { return p.box.Schedule(p.ctx, tx, at(), "kept", made("s3")) },
		func(tx outbox.Tx) error { return p.box.Cancel(p.ctx, tx, "cancelled") },
		func(tx outbox.Tx) error { return p.box.Schedule(p.ctx, tx, at(), "replaced", made("s4")) },
	} {
		tx := p.begin()
		p.must(write(outbox.SQL(tx)))
		p.must(tx.Commit())
	}
	p.relayed(newSink(), "schedule kept s3 "+stamp, "cancel cancelled", "schedule replaced s4 "+stamp)
}

func waitsRule(p *probe) {
	var refused atomic.Int64
	var open atomic.Bool
	s := newSink()
	s.refusing(func(_ context.Context, e event.Event) error {
		if e.ID() == "e0100" && !open.Load() {
			if refused.Add(1)%2 == 0 {
				return dispatcher.ErrShutdown
			}
			return &dispatcher.BacklogError{Lanes: []string{"full"}}
		}
		return nil
	})
	ids := numbered("e", 200)
	p.write(ids...)
	p.relay(s)
	// Halving 200 down to one comes first; after that, the one is refused again and again.
	p.wait(s, "the tenth refusal", func() bool { return refused.Load() >= 10 })
	p.equal("dispatched by then", s.all(), ids[:100])
	p.wait(s, "deletion of what was dispatched", func() bool { return p.suite.Dialect == outbox.SQLite || p.rows("") == 100 })
	p.equal("dead letters", p.rows("_dead"), 0)
	open.Store(true)
	p.waitFor(s, ids...)
	p.equal("order", s.all(), ids)
}

func splitsRule(p *probe) {
	s := newSink()
	var calls atomic.Int64
	d := limited{sink: s, calls: &calls}
	ids := numbered("e", 50)
	p.write(ids...)
	r := p.relay(d)
	p.waitFor(s, ids...)
	p.must(r.stop())
	p.equal("order", s.all(), ids)
}

// limited takes three events at a time at most, as a lane with a small backlog does.
type limited struct {
	*sink
	calls *atomic.Int64
}

func (l limited) Dispatch(ctx context.Context, events ...event.Event) error {
	if len(events) > 3 {
		return &dispatcher.BacklogError{Lanes: []string{"small"}}
	}
	return l.sink.Dispatch(ctx, events...)
}

// poison refuses events for good, in each way there is.
type poison struct{ *sink }

func (d poison) Dispatch(ctx context.Context, events ...event.Event) error {
	for i, e := range events {
		switch e.ID() {
		case "bad-event":
			return &dispatcher.EventError{Index: i, ID: e.ID(), Err: errors.New("bad é \x00 event")}
		case "conflict":
			return &dispatcher.ConflictError{EventID: e.ID()}
		case "permanent":
			return retry.Permanent(errors.New("never"))
		}
	}
	return d.sink.Dispatch(ctx, events...)
}

func (d poison) Schedule(ctx context.Context, at time.Time, key string, e event.Event) error {
	if key == "unsupported" {
		return fmt.Errorf("schedule: %w", errors.ErrUnsupported)
	}
	return d.sink.Schedule(ctx, at, key, e)
}

func deadRule(p *probe) {
	s := newSink()
	ids := numbered("e", 100)
	bad := map[int]string{0: "bad-event", 40: "conflict", 41: "permanent", 99: "bad-event"}
	var good []string
	for i := range ids {
		if id, ok := bad[i]; ok {
			ids[i] = id
		} else {
			good = append(good, ids[i])
		}
	}
	p.write(ids...)
	tx := p.begin()
	p.must(p.box.Schedule(p.ctx, outbox.SQL(tx), at(), "unsupported", made("s")))
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), made("last")))
	p.must(tx.Commit())
	r := p.relay(poison{s})
	p.waitFor(s, append(good, "last")...)
	p.must(r.stop())
	p.equal("order", s.all(), append(good, "last"))
	p.equal("rows left", p.rows(""), 0)
	letters, err := p.box.DeadLetters(p.ctx, p.db, 0, 100)
	p.must(err)
	var got []string
	for _, l := range letters {
		got = append(got, l.Operation.String()+" "+l.Event.ID()+" "+l.Key)
		if l.Reason == "" || l.Died.Before(l.Written) || time.Since(l.Died).Abs() > time.Hour || l.At.Equal(at()) != (l.Key != "") {
			p.fail("a dead letter has reason %q, was written %s, died %s and was for %s", l.Reason, l.Written, l.Died, l.At)
		}
	}
	p.equal("dead letters", got, []string{
		"dispatch bad-event ", "dispatch conflict ", "dispatch permanent ", "dispatch bad-event ", "schedule s unsupported",
	})
	page, err := p.box.DeadLetters(p.ctx, p.db, letters[1].ID, 2)
	p.must(err)
	p.equal("the next two", fmt.Sprint(len(page), page[0].ID, page[1].ID), fmt.Sprint(2, letters[2].ID, letters[3].ID))
}

func formatRule(p *probe) {
	p.write("e1", "future", "unreadable", "e2")
	p.exec("UPDATE {table} SET format = 2 WHERE id = (SELECT id FROM (SELECT min(id) + 1 AS id FROM {table}) x)")
	p.exec("UPDATE {table} SET body = NULL WHERE id = (SELECT id FROM (SELECT min(id) + 2 AS id FROM {table}) x)")
	s := newSink()
	p.relayed(s, "e1", "e2")
	p.equal("dead letters", p.rows("_dead"), 2)
	p.exec("UPDATE {table}_dead SET format = 1") // what a newer program would read
	letters, err := p.box.DeadLetters(p.ctx, p.db, 0, 10)
	p.must(err)
	p.equal("the first", letters[0].Event.ID(), "future")
	n, err := p.box.Requeue(p.ctx, p.db, letters[0].ID)
	p.must(err)
	p.equal("requeued", n, 1)
	p.relayed(s, "e1", "e2", "future")
}

func requeueRule(p *probe) {
	s := newSink()
	p.write("conflict", "permanent", "bad-event")
	r := p.relay(poison{s})
	p.wait(s, "three dead letters", func() bool { return p.rows("_dead") == 3 })
	p.must(r.stop())
	letters, err := p.box.DeadLetters(p.ctx, p.db, 0, 10)
	p.must(err)
	p.write("before")
	n, err := p.box.Requeue(p.ctx, p.db, letters[1].ID, letters[0].ID, 1<<40)
	p.must(err)
	p.equal("requeued", n, 2)
	n, err = p.box.Discard(p.ctx, p.db, letters[2].ID, 1<<40)
	p.must(err)
	p.equal("discarded", n, 1)
	for _, f := range []func() (int, error){
		func() (int, error) { return p.box.Requeue(p.ctx, p.db, letters[0].ID) },
		func() (int, error) { return p.box.Requeue(p.ctx, p.db) },
		func() (int, error) { return p.box.Discard(p.ctx, p.db, letters[2].ID) },
		func() (int, error) { return p.box.Discard(p.ctx, p.db) },
	} {
		n, err := f()
		p.must(err)
		p.equal("without effect", n, 0)
	}
	p.relayed(s, "before", "conflict", "permanent")
	p.equal("dead letters", p.rows("_dead"), 0)
	if !slices.Equal(s.event("conflict").JSON(), made("conflict").JSON()) {
		p.fail("the event has changed")
	}
}
