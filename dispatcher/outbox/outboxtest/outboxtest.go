// Package outboxtest is the conformance suite for the dialects of package outbox with a driver, a server and whatever
// is between them.
//
//	func TestOutbox(t *testing.T) {
//		outboxtest.Run(t, outboxtest.Suite{
//			Dialect: outbox.PostgreSQL,
//			Open:    func(t testing.TB) *sql.DB { return open(t, "postgres://…") },
//		})
//	}
package outboxtest

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

// Suite says what is tested.
type Suite struct {
	Dialect outbox.Dialect
	// Open returns a pool of connections to the same database each time, which allows eight connections at least. The
	// role may make tables. It closes the pool with t.Cleanup.
	Open func(t testing.TB) *sql.DB
	// Schema is where tables are made; it exists. "" = where the connection makes them.
	Schema string
	// Timeout is how long the suite waits for something that is to happen. 0 = 30 s.
	Timeout time.Duration
}

// Run checks each rule in a sub-test with tables of its own, and prints the rule that is broken. Most take less than a
// second, a few as long as the shortest lease.
func Run(t *testing.T, s Suite) {
	t.Helper()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			p := newProbe(t, r, s)
			if reason := r.run(p); reason != "" {
				t.Logf("does not apply: %s", reason)
			}
		})
	}
}

// rule is one promise of an Outbox and its Relay.
type rule struct {
	name  string
	text  string
	needs func(p *probe) string // why the rule does not apply, "" = it does; nil = it always does
	check func(p *probe)
}

// run checks the rule, or returns why it does not apply.
func (r rule) run(p *probe) string {
	if r.needs != nil {
		if reason := r.needs(p); reason != "" {
			return reason
		}
	}
	r.check(p)
	return ""
}

// rules is the table of what is promised. A test fails for a rule that no planted defect breaks.
func rules() []rule {
	return []rule{
		{"write/commit", "an event is dispatched if and only if its transaction commits, byte for byte as it was", nil, commitRule},
		{"write/savepoint", "what was written behind a savepoint goes with it", nil, savepointRule},
		{"write/many", "events of one call are dispatched in their order, however many they are", nil, manyRule},
		{"write/refused", "what an Engine would refuse is an error, and nothing is written", nil, refusedRule},
		{"order/commits", "what was committed before another transaction began is dispatched before what that one wrote", nil, orderRule},
		{"order/late", "a transaction that commits late is not skipped, and does not hold up the others", needsWriters, lateRule},
		{"order/pages", "of more rows than are read at a time none is skipped, though transactions commit meanwhile", needsWriters, pagesRule},
		{"schedule/order", "Schedule and Cancel are handed over in order, between events", nil, scheduleRule},
		{"schedule/superseded", "what is cancelled or replaced by a row that waits is not scheduled", nil, supersededRule},
		{"refusal/waits", "a refusal is waited for, and the order is kept", nil, waitsRule},
		{"refusal/splits", "events that are refused together are dispatched one by one", nil, splitsRule},
		{"dead/event", "an event that is refused for good becomes a dead letter, and the others go on", nil, deadRule},
		{"dead/format", "a row of a newer format becomes a dead letter and is not lost", nil, formatRule},
		{"dead/requeue", "a requeued dead letter is dispatched, a discarded one is gone", nil, requeueRule},
		{"relay/repeats", "a row whose deletion failed with its relay is handed over again by the next one", nil, repeatsRule},
		{"relay/removes", "what was handed over is deleted", nil, removesRule},
		{"relay/one", "of several relays one hands rows over, and another does when it ends", nil, oneRule},
		{"relay/lease", "a relay whose lease was taken stops, and a lease that ends is taken over", nil, leaseRule},
		{"relay/stop", "Run returns nil when its context ends, in the middle of a call or not", nil, stopRule},
		{"schema/together", "eight processes may migrate at once, and again", nil, togetherRule},
		{"schema/newer", "tables of a newer version are refused and left alone, missing ones are named", nil, newerRule},
		{"schema/apart", "outboxes with tables of their own do not mix", nil, apartRule},
		{"stats", "Stats counts rows, dead letters and the age of the oldest row; Check compares that with a limit", nil, statsRule},
	}
}

func needsWriters(p *probe) string {
	if p.suite.Dialect == outbox.SQLite {
		return "one transaction writes at a time"
	}
	return ""
}

// reporter is the part of testing.TB the rules use.
type reporter interface {
	testing.TB
}

// newTable names a table that no other test has.
func (s Suite) newTable() string {
	name := "outbox_" + strings.ToLower(rand.Text()[:12])
	if s.Schema != "" {
		name = s.Schema + "." + name
	}
	return name
}
