package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// repeatsRule takes the table away from a relay that ends while it is in Dispatch, so that it cannot delete what it has
// handed over, and gives it to the next.
func repeatsRule(p *probe) {
	s := newSink()
	ids := numbered("e", 20)
	p.write(ids...)
	entered, away := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	s.refusing(func(context.Context, event.Event) error {
		if once.CompareAndSwap(false, true) {
			close(entered)
			<-away
		}
		return nil
	})
	first := p.relay(s)
	<-entered
	p.exec("ALTER TABLE {table} RENAME TO " + p.renamed("_away"))
	first.cancel()
	close(away)
	p.must(first.stop())
	p.equal("handed over", s.all(), ids)
	p.exec("ALTER TABLE {table}_away RENAME TO " + p.renamed(""))
	p.relayed(s, append(ids, ids...)...)
}

// renamed is a name as RENAME TO takes it in all dialects.
func (p *probe) renamed(suffix string) string {
	name := p.table + suffix
	if p.suite.Dialect != outbox.MySQL && p.suite.Schema != "" {
		return name[len(p.suite.Schema)+1:]
	}
	return name
}

func removesRule(p *probe) {
	s := newSink()
	p.relay(s)
	p.write(numbered("e", 700)...)
	p.waitFor(s, numbered("e", 700)...)
	p.wait(s, "the deletion", func() bool { return p.rows("") == 0 })
	p.equal("calls", len(s.all()), 700)
}

func oneRule(p *probe) {
	sinks := []*sink{newSink(), newSink(), newSink()}
	relays := map[*sink]*running{}
	for _, s := range sinks {
		relays[s] = p.relay(s)
	}
	leading := func() (n int) {
		for _, r := range relays {
			if r.Leading() {
				n++
			}
		}
		return n
	}
	n := 0
	for len(relays) > 0 {
		p.wait(sinks[0], "the lead", func() bool { return leading() > 0 })
		<-time.After(lease / 2) // so that the others have looked
		p.equal("relays that lead", leading(), 1)
		ids := numbered(fmt.Sprintf("%d-", n), 30)
		n++
		for _, id := range ids {
			p.write(id)
		}
		var by *sink
		p.wait(sinks[0], "dispatch by one relay", func() bool {
			for s, r := range relays {
				if calls := s.all(); len(calls) > 0 && calls[len(calls)-1] == ids[len(ids)-1] && r.Leading() {
					by = s
				}
			}
			return by != nil
		})
		p.equal("dispatched by one relay", by.all(), ids)
		p.must(relays[by].stop())
		delete(relays, by)
	}
	p.equal("rounds", n, len(sinks))
}

func leaseRule(p *probe) {
	s := newSink()
	r := p.relay(s)
	p.write("e1")
	p.waitFor(s, "e1")
	// Another process takes the lease, as it would after this one was stopped for too long, and dies.
	p.exec("UPDATE {table}_state SET holder = 'another', ends = ends + 1500")
	p.wait(s, "the end of the lead", func() bool { return !r.Leading() })
	stats, err := p.box.Stats(p.ctx, p.db)
	p.must(err)
	if stats.Leader != "another" {
		p.fail("the lease of another process was taken by %q", stats.Leader)
	}
	p.write("e2")
	p.waitFor(s, "e2")
	if !r.Leading() {
		p.fail("the relay dispatches without the lease")
	}
}

func stopRule(p *probe) {
	s := newSink()
	idle := p.relay(s)
	p.wait(s, "the lead", idle.Leading)
	if err := idle.Run(p.ctx); !errors.Is(err, outbox.ErrRunning) {
		p.fail("a second Run returned %v", err)
	}
	p.must(idle.stop())
	// In the middle of a call, and of several rows.
	p.write("e1")
	entered := make(chan struct{}, 100)
	s.refusing(func(ctx context.Context, e event.Event) error {
		if e.ID() != "e3" {
			return nil
		}
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	busy := p.relay(s)
	p.waitFor(s, "e1")
	p.write("e2")
	p.waitFor(s, "e2")
	p.write("e3")
	<-entered
	p.must(busy.stop())
	if busy.Leading() {
		p.fail("a relay that has ended leads")
	}
	p.equal("rows left", p.rows(""), 1)
	stats, err := p.box.Stats(p.ctx, p.db)
	p.must(err)
	p.equal("leader", stats.Leader, "")
	s.refusing(nil)
	began := time.Now()
	p.relayed(s, "e1", "e2", "e3")
	if time.Since(began) > p.suite.Timeout/2 {
		p.fail("a lease that was released was waited for")
	}
}
