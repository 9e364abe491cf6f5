package drivertest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// scaleVariable multiplies what the tests of this module do: 10 is 10,000 transactions and 100 kills on each database,
// and a transaction that is open for a minute.
const scaleVariable = "OUTBOX_TEST_SCALE"

func scale(tb testing.TB) int {
	tb.Helper()
	set := os.Getenv(scaleVariable)
	if set == "" {
		return 1
	}
	n, err := strconv.Atoi(set)
	require.NoError(tb, err, scaleVariable)
	return n
}

const (
	connections = 16
	subjects    = 40
)

// host is a product: a table of subjects, each with a version that transactions raise, and one of what was committed.
type host struct {
	t        *testing.T
	db       *sql.DB
	box      *outbox.Outbox
	place    place
	subjects string
	facts    string
}

func newHost(t *testing.T, p place) *host {
	t.Helper()
	h := &host{t: t, db: p.open(t), place: p, subjects: "subjects", facts: "facts"}
	table := outbox.DefaultTable
	if p.schema != "" {
		table, h.subjects, h.facts = p.schema+"."+table, p.schema+".subjects", p.schema+".facts"
	}
	var err error
	h.box, err = outbox.New(p.dialect, outbox.Options{Table: table})
	require.NoError(t, err)
	require.NoError(t, h.box.Migrate(t.Context(), h.db))
	h.exec("CREATE TABLE " + h.subjects + " (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)")
	h.exec("CREATE TABLE " + h.facts + " (id VARCHAR(40) PRIMARY KEY, subject INTEGER NOT NULL, version INTEGER NOT NULL)")
	for n := range subjects {
		h.exec(fmt.Sprintf("INSERT INTO %s VALUES (%d, 0)", h.subjects, n))
	}
	return h
}

func (h *host) exec(query string) {
	h.t.Helper()
	_, err := h.db.ExecContext(h.t.Context(), query)
	require.NoError(h.t, err)
}

// change is transaction number n: a subject changes, and an event says so. A third is rolled back.
func (h *host) change(ctx context.Context, n int) error {
	options := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	if h.place.dialect == outbox.SQLite {
		options = nil
	}
	tx, err := h.db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	subject, version := rand.IntN(subjects), 0
	id := fmt.Sprintf("fact-%d", n)
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET version = version + 1 WHERE id = %d", h.subjects, subject)); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT version FROM %s WHERE id = %d", h.subjects, subject)).Scan(&version); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES ('%s', %d, %d)", h.facts, id, subject, version)); err != nil {
		return err
	}
	if err := h.box.Dispatch(ctx, outbox.SQL(tx), fact(id, subject)); err != nil {
		return err
	}
	if n%3 == 0 {
		return tx.Rollback()
	}
	return tx.Commit()
}

func fact(id string, subject int) event.Event {
	return event.Must(event.GrantActive{Grant: event.Grant{Granted: event.Granted{ID: fmt.Sprintf("subject-%d", subject)}}}, event.Meta{ID: id})
}

// changes runs the transactions from first up to end on all connections.
func (h *host) changes(first, end int) {
	h.t.Helper()
	numbers := make(chan int)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for n := range numbers {
				if err := h.change(h.t.Context(), n); err != nil {
					assert.NoError(h.t, err)
				}
			}
		})
	}
	for n := first; n < end; n++ {
		numbers <- n
	}
	close(numbers)
	all.Wait()
}

// committed returns the ids of what was committed, by subject and in the order of its versions.
func (h *host) committed() (all map[int][]string, bySubject map[string]int) {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), "SELECT id, subject FROM "+h.facts+" ORDER BY subject, version")
	require.NoError(h.t, err)
	defer rows.Close()
	all, bySubject = map[int][]string{}, map[string]int{}
	for rows.Next() {
		var id string
		var subject int
		require.NoError(h.t, rows.Scan(&id, &subject))
		all[subject] = append(all[subject], id)
		bySubject[id] = subject
	}
	require.NoError(h.t, rows.Err())
	return all, bySubject
}

// waiting returns the number of rows that are not handed over and deleted.
func (h *host) waiting() int {
	h.t.Helper()
	s, err := h.box.Stats(h.t.Context(), h.db)
	require.NoError(h.t, err)
	return s.Waiting
}

// Relays are killed with -9 at random moments while transactions commit and roll back: what is delivered is what was
// committed, per subject in its order. Two relays run at a time, so that the other one takes over.
func TestKilledRelays(t *testing.T) {
	t.Parallel()
	transactions, kills := 1000*scale(t), 10*scale(t)
	on(t, func(t *testing.T, p place) {
		h := newHost(t, p)
		to := plan{Dialect: p.dialect, Driver: p.driver, Address: p.address, Table: outbox.DefaultTable, File: filepath.Join(t.TempDir(), "delivered")}
		if p.schema != "" {
			to.Table = p.schema + "." + to.Table
		}
		require.NoError(t, os.WriteFile(to.File, nil, 0o600))
		first, second := startRelay(t, to), startRelay(t, to)
		for kill := range kills {
			written := make(chan struct{})
			go func() {
				defer close(written)
				h.changes(transactions*kill/kills, transactions*(kill+1)/kills)
			}()
			select { // it relays as soon as the lease of the one before has ended
			case <-first.relaying:
			case <-second.relaying:
				first, second = second, first
			}
			<-time.After(time.Duration(rand.IntN(20_000)) * time.Microsecond)
			first.kill()
			first, second = second, startRelay(t, to)
			<-written
		}
		require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 20*time.Millisecond, "rows are left")
		require.NoError(t, first.finish())
		require.NoError(t, second.finish())

		repeats := h.requireDelivered(readSink(t, to.File))
		_, committed := h.committed()
		t.Logf("%d transactions, %d committed and delivered, %d kills, %d repeats", transactions, len(committed), kills, repeats)
	})
}
