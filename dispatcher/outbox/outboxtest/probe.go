package outboxtest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// probe uses an Outbox on behalf of one rule.
type probe struct {
	reporter
	ctx   context.Context
	rule  rule
	suite Suite
	db    *sql.DB
	table string
	box   *outbox.Outbox
}

func newProbe(tb reporter, r rule, s Suite) *probe {
	tb.Helper()
	if s.Timeout <= 0 {
		s.Timeout = 30 * time.Second
	}
	p := &probe{reporter: tb, ctx: tb.Context(), rule: r, suite: s, db: s.Open(tb), table: s.newTable()}
	p.box = p.open(p.table)
	p.must(p.box.Migrate(p.ctx, p.db))
	return p
}

// fail ends the sub-test with the rule that is broken.
func (p *probe) fail(format string, args ...any) {
	p.Helper()
	p.Fatalf("broken: %s: %s\n%s", p.rule.name, p.rule.text, fmt.Sprintf(format, args...))
}

func (p *probe) must(err error) {
	p.Helper()
	if err != nil {
		p.fail("%v", err)
	}
}

func (p *probe) equal(what string, got, want any) {
	p.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		p.fail("%s:\n got  %.2000s\n want %.2000s", what, g, w)
	}
}

// open makes an Outbox with a table that is dropped at the end.
func (p *probe) open(table string) *outbox.Outbox {
	p.Helper()
	box, err := outbox.New(p.suite.Dialect, outbox.Options{Table: table})
	p.must(err)
	p.Cleanup(func() {
		for _, suffix := range []string{"", "_dead", "_state"} {
			_, _ = p.db.ExecContext(context.Background(), "DROP TABLE IF EXISTS "+table+suffix)
		}
	})
	return box
}

// made makes an event with that id.
func made(id string) event.Event {
	return event.Must(event.GrantActive{Grant: event.Grant{Granted: event.Granted{ID: "grant-" + id}}},
		event.Meta{ID: id, Subject: "grant-" + id, Time: time.Unix(1_700_000_000, 5)})
}

// begin begins a transaction, which is rolled back unless the rule commits it.
func (p *probe) begin() *sql.Tx {
	p.Helper()
	tx, err := p.db.BeginTx(p.ctx, nil)
	p.must(err)
	p.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// write commits a transaction with an event of each id.
func (p *probe) write(ids ...string) {
	p.Helper()
	tx := p.begin()
	p.must(p.box.Dispatch(p.ctx, outbox.SQL(tx), events(ids)...))
	p.must(tx.Commit())
}

func events(ids []string) []event.Event {
	all := make([]event.Event, len(ids))
	for i, id := range ids {
		all[i] = made(id)
	}
	return all
}

// numbered returns n ids.
func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return all
}

func (p *probe) exec(query string) {
	p.Helper()
	_, err := p.db.ExecContext(p.ctx, strings.ReplaceAll(query, "{table}", p.table))
	p.must(err)
}

// rows counts the rows of the table with that suffix.
func (p *probe) rows(suffix string) (n int) {
	p.Helper()
	p.must(p.db.QueryRowContext(p.ctx, "SELECT count(*) FROM "+p.table+suffix).Scan(&n))
	return n
}

// running is a Relay that runs.
type running struct {
	*outbox.Relay
	p      *probe
	cancel context.CancelFunc
	ended  chan error
}

const (
	poll  = 5 * time.Millisecond
	lease = time.Second // the shortest there is
)

// relay runs a Relay to d, until the end of the sub-test at the latest.
func (p *probe) relay(d dispatcher.Dispatcher) *running {
	p.Helper()
	return p.relayOf(p.box, d)
}

func (p *probe) relayOf(box *outbox.Outbox, d dispatcher.Dispatcher) *running {
	p.Helper()
	r, err := outbox.NewRelay(p.db, box, d, outbox.RelayOptions{
		Poll: poll, Lease: lease, Logger: slog.New(slog.DiscardHandler),
	})
	p.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.ctx))
	run := &running{Relay: r, p: p, cancel: cancel, ended: make(chan error, 1)}
	go func() { run.ended <- r.Run(ctx) }()
	p.Cleanup(func() { _ = run.stop() })
	return run
}

// stop ends the Relay and returns what Run did.
func (r *running) stop() error {
	r.cancel()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(r.p.suite.Timeout):
		return fmt.Errorf("Run did not return within %s", r.p.suite.Timeout)
	}
}

// wait waits until done reports true, and asks it again whenever s got something or some time has passed.
func (p *probe) wait(s *sink, what string, done func() bool) {
	p.Helper()
	deadline := time.After(p.suite.Timeout)
	for {
		next := s.next()
		if done() {
			return
		}
		select {
		case <-next:
		case <-time.After(poll):
		case <-deadline:
			p.fail("%s did not happen within %s; %d calls so far, the latest %v", what, p.suite.Timeout, len(s.all()), tail(s.all()))
		}
	}
}

func tail(calls []string) []string { return calls[max(0, len(calls)-10):] }

// waitFor waits until s has got all of these, in whatever order.
func (p *probe) waitFor(s *sink, ids ...string) {
	p.Helper()
	p.wait(s, fmt.Sprintf("dispatch of %d events from %v", len(ids), ids[:min(3, len(ids))]), func() bool {
		got := map[string]bool{}
		for _, c := range s.all() {
			got[c] = true
		}
		return !slices.ContainsFunc(ids, func(id string) bool { return !got[id] })
	})
}

// relayed runs a Relay until s has got these calls and nothing else, and the rows are gone.
func (p *probe) relayed(s *sink, want ...string) {
	p.Helper()
	r := p.relay(s)
	p.wait(s, fmt.Sprintf("%d calls", len(want)), func() bool { return len(s.all()) >= len(want) })
	p.must(r.stop())
	p.equal("handed over", s.all(), want)
	p.equal("rows left", p.rows(""), 0)
}
