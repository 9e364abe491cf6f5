package drivertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

// A transaction that stays open neither stalls the others nor gets lost, and is logged. SQLite has no others meanwhile.
func TestHeldTransaction(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, p place) {
		if p.dialect == outbox.SQLite {
			return
		}
		h := newHost(t, p)
		rec := new(dispatchertest.Recorder)
		var logged lines
		runRelay(t, h.db, h.box, rec, &logged)
		held, err := h.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(held), fact("held", 0)))
		over := time.After(6 * time.Second * time.Duration(scale(t)))
		n := 0
		for open := true; open; {
			h.changes(n, n+200)
			n += 200
			require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 5*time.Millisecond, "the others wait for it")
			select {
			case <-over:
				open = false
			default:
			}
		}
		assert.True(t, logged.contain("a database transaction stays open"), logged.String())
		stats, err := h.box.Stats(t.Context(), h.db)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, stats.OpenTransaction, 5*time.Second)
		dispatched := len(rec.Events())
		require.NoError(t, held.Commit())
		require.NoError(t, rec.Wait(t.Context(), dispatched+1))
		assert.Equal(t, "held", rec.Events()[dispatched].ID())
		_, committed := h.committed()
		assert.Len(t, rec.Events(), len(committed)+1)
		t.Logf("%d transactions beside it", n)
	})
}

// What was deleted and cannot be vacuumed, because a transaction is open, is not read again and again, and no statement
// of a relay scans the table: though nothing was ever analysed.
func TestReadsNoDeadRows(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	held, err := h.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = held.Rollback() }()
	require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(held), fact("held", 0)))
	rec := new(dispatchertest.Recorder)
	runRelay(t, h.db, h.box, rec, new(lines))
	const rows = 20_000
	for n := 0; n < rows; n += 1000 {
		tx, err := h.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		for i := range 1000 {
			require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(tx), fact(fmt.Sprintf("fact-%d", n+i), 0)))
		}
		require.NoError(t, tx.Commit())
	}
	require.NoError(t, rec.Wait(t.Context(), rows))
	read := func() (scans, tuples, whole int) {
		require.NoError(t, h.db.QueryRowContext(t.Context(), `SELECT sum(i.idx_scan), sum(i.idx_tup_read), max(t.seq_scan)
			FROM pg_stat_user_indexes i JOIN pg_stat_user_tables t USING (relid) WHERE t.schemaname = $1 AND t.relname = $2`,
			p.schema, outbox.DefaultTable).Scan(&scans, &tuples, &whole))
		return scans, tuples, whole
	}
	// The statistics come in late, those of the last deletions too.
	scans, tuples, whole := read()
	require.Eventually(t, func() bool {
		before, tuplesBefore := scans, tuples
		scans, tuples, whole = read()
		t.Logf("%d looks read %d tuples", scans-before, tuples-tuplesBefore)
		return tuples >= rows && scans >= before+100 && tuples-tuplesBefore <= scans-before
	}, time.Minute, 1500*time.Millisecond, "idle looks read what was deleted")
	assert.Zero(t, whole, "the table was scanned")
}
