package outboxtest

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

func togetherRule(p *probe) {
	box := p.open(p.suite.newTable())
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { errs[i] = box.Migrate(p.ctx, p.db) })
	}
	all.Wait()
	p.must(errors.Join(errs...))
	p.must(box.Migrate(p.ctx, p.db))
	if _, err := box.Stats(p.ctx, p.db); err != nil {
		p.fail("the tables cannot be used: %v", err)
	}
	// The same by the host.
	table := p.suite.newTable()
	box = p.open(table)
	for _, script := range box.Migrations() {
		for statement := range strings.SplitSeq(script, ";\n") {
			if statement != "" {
				p.exec(statement)
			}
		}
	}
	p.must(box.Migrate(p.ctx, p.db))
}

func newerRule(p *probe) {
	schemaError := func(err error, found int) {
		p.Helper()
		if mismatch, ok := errors.AsType[*outbox.SchemaError](err); !ok || mismatch.Found != found {
			p.fail("tables of version %d returned %v, not a *outbox.SchemaError", found, err)
		}
	}
	p.exec("UPDATE {table}_state SET version = 99")
	schemaError(p.box.Migrate(p.ctx, p.db), 99)
	run := p.relay(newSink())
	select {
	case err := <-run.ended:
		run.ended <- err
		schemaError(err, 99)
	case <-time.After(p.suite.Timeout):
		p.fail("a relay runs on tables of a newer version")
	}
	missing := p.open(p.suite.newTable())
	_, err := missing.Stats(p.ctx, p.db)
	schemaError(err, 0)
	run = p.relayOf(missing, newSink())
	select {
	case err := <-run.ended:
		run.ended <- err
		schemaError(err, 0)
	case <-time.After(p.suite.Timeout):
		p.fail("a relay runs without tables")
	}
}

func apartRule(p *probe) {
	other := p.open(p.suite.newTable())
	p.must(other.Migrate(p.ctx, p.db))
	tx := p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), made("mine")))
	p.must(other.Dispatch(p.ctx, outbox.SQL(tx), made("theirs")))
	p.must(tx.Commit())
	mine, theirs := newSink(), newSink()
	a, b := p.relay(mine), p.relayOf(other, theirs)
	p.waitFor(mine, "mine")
	p.waitFor(theirs, "theirs")
	p.must(errors.Join(a.stop(), b.stop()))
	p.equal("mine", mine.all(), []string{"mine"})
	p.equal("theirs", theirs.all(), []string{"theirs"})
}

func statsRule(p *probe) {
	stats := func() outbox.Stats {
		p.Helper()
		s, err := p.box.Stats(p.ctx, p.db)
		p.must(err)
		return s
	}
	empty := stats()
	empty.OpenTransaction = 0 // of other tests
	p.equal("of an empty outbox", empty, outbox.Stats{})
	p.must(p.box.Check(p.ctx, p.db, time.Nanosecond))
	p.write("e1", "conflict", "e2")
	p.exec("UPDATE {table} SET written = written - 3600000 WHERE id = (SELECT id FROM (SELECT min(id) AS id FROM {table}) x)")
	s := stats()
	p.equal("rows", s.Waiting, 3)
	if s.Oldest < time.Hour || s.Oldest > 2*time.Hour {
		p.fail("the oldest row is %s old, not an hour", s.Oldest)
	}
	p.must(p.box.Check(p.ctx, p.db, 2*time.Hour))
	late, ok := errors.AsType[*outbox.LateError](p.box.Check(p.ctx, p.db, time.Minute))
	if !ok || late.Waiting != 3 || late.Leader != "" || late.Oldest < time.Hour {
		p.fail("Check returned %v", late)
	}
	got := newSink()
	r := p.relay(poison{got})
	p.waitFor(got, "e1", "e2")
	p.wait(got, "the deletion", func() bool { return stats().Waiting == 0 })
	s = stats()
	p.equal("dead letters", s.DeadLetters, 1)
	if s.Leader == "" || !r.Leading() || s.Oldest != 0 {
		p.fail("while a relay runs, the leader is %q and the oldest row %s old", s.Leader, s.Oldest)
	}
	p.must(r.stop())
	p.equal("leader", stats().Leader, "")
}
