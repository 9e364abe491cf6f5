package outboxtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

func commitRule(p *probe) {
	hostile := event.Must(event.RequestDenied{Reason: "\x00\u2028'\";--$1?\\ \U0001F600 %s é 汉"},
		event.Meta{ID: "hostile", Tenant: "ténant", Time: time.Unix(1, 999_999_999), Attributes: map[string]string{"a": "\t\n"}})
	tx := p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), hostile))
	p.must(tx.Commit())
	tx = p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), made("rolled-back")))
	p.must(tx.Rollback())
	p.write("second")
	s := newSink()
	p.relayed(s, "hostile", "second")
	if got := s.event("hostile").JSON(); !bytes.Equal(got, hostile.JSON()) {
		p.fail("the event came back as\n %s\ninstead of\n %s", got, hostile.JSON())
	}
}

func savepointRule(p *probe) {
	tx := p.begin()
	exec := outbox.SQL(tx)
	p.must(p.box.Dispatch(p.ctx, exec, made("before")))
	p.must(exec(p.ctx, "SAVEPOINT a"))
	p.must(p.box.Dispatch(p.ctx, exec, made("undone")))
	p.must(exec(p.ctx, "ROLLBACK TO SAVEPOINT a"))
	p.must(exec(p.ctx, "SAVEPOINT b"))
	p.must(p.box.Dispatch(p.ctx, exec, made("kept")))
	p.must(exec(p.ctx, "RELEASE SAVEPOINT b"))
	p.must(tx.Commit())
	p.relayed(newSink(), "before", "kept")
}

func manyRule(p *probe) {
	large := make([]event.Event, 30) // beyond the bytes of a statement and of a page
	for i, id := range numbered("large", len(large)) {
		large[i] = event.Must(event.RequestDenied{Reason: strings.Repeat("x", 200_000)}, event.Meta{ID: id})
	}
	small := numbered("small", 1300)
	tx := p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), events(small)...))
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx)))
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), large...))
	p.must(tx.Commit())
	p.relayed(newSink(), append(small, numbered("large", len(large))...)...)
}

func refusedRule(p *probe) {
	tx := p.begin()
	exec := outbox.SQL(tx)
	err := p.box.Dispatch(p.ctx, exec, made("good"), event.Event{})
	if bad, ok := errors.AsType[*dispatcher.EventError](err); !ok || bad.Index != 1 {
		p.fail("Dispatch of a good and a zero Event returned %v, not a *dispatcher.EventError of index 1", err)
	}
	err = p.box.Schedule(p.ctx, exec, time.Now(), "key", event.Event{})
	if _, ok := errors.AsType[*dispatcher.EventError](err); !ok {
		p.fail("Schedule of a zero Event returned %v, not a *dispatcher.EventError", err)
	}
	for _, key := range []string{"", strings.Repeat("k", 256)} {
		for _, err := range []error{p.box.Schedule(p.ctx, exec, time.Now(), key, made("good")), p.box.Cancel(p.ctx, exec, key)} {
			if bad, ok := errors.AsType[*dispatcher.KeyError](err); !ok || bad.Length != len(key) {
				p.fail("a key of %d bytes returned %v, not a *dispatcher.KeyError", len(key), err)
			}
		}
	}
	p.must(tx.Commit())
	p.equal("rows written", p.rows(""), 0)
}

func orderRule(p *probe) {
	s := newSink()
	p.relay(s)
	ids := numbered("e", 200)
	for _, id := range ids {
		p.write(id)
	}
	p.waitFor(s, ids...)
	p.equal("order", s.all(), ids)
}

func lateRule(p *probe) {
	s := newSink()
	p.relay(s)
	early := p.begin() // the lowest id, the latest commit
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(early), made("late")))
	p.write("second")
	p.waitFor(s, "second")
	later := p.begin() // a higher transaction, a commit in between
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(later), made("between")))
	p.write("third")
	p.waitFor(s, "third")
	p.must(later.Commit())
	p.waitFor(s, "between")
	p.write("fourth")
	p.waitFor(s, "fourth")
	if slices.Contains(s.all(), "late") {
		p.fail("an event was dispatched before its transaction committed")
	}
	p.must(early.Commit())
	p.waitFor(s, "late")
}

// pagesRule lets a transaction commit, and another one that follows it, while a long backlog is read: neither the first
// nor the order of both may be lost.
func pagesRule(p *probe) {
	first, last := numbered("a", 600), numbered("b", 1200)
	p.write(first...)
	held := p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(held), made("held"))) // in the midst of the ids
	p.write(last...)
	s := newSink()
	once := false
	reading, written := make(chan struct{}), make(chan struct{})
	s.refusing(func(_ context.Context, e event.Event) error {
		if e.ID() == last[600] && !once { // some pages on
			once = true
			close(reading)
			<-written
		}
		return nil
	})
	p.relay(s)
	select {
	case <-reading:
	case <-time.After(p.suite.Timeout):
		p.fail("%s was not dispatched within %s", last[600], p.suite.Timeout)
	}
	p.must(held.Commit())
	p.write("follows")
	close(written)
	p.waitFor(s, "held", "follows")
	p.waitFor(s, last...)
	got := s.different()
	if slices.Index(got, "held") > slices.Index(got, "follows") {
		p.fail("what was committed before another transaction began was dispatched behind it")
	}
	p.equal("the others", slices.DeleteFunc(got, func(id string) bool { return id == "held" || id == "follows" }), append(first, last...))
}
