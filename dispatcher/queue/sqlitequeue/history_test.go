package sqlitequeue

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/history/historytest"
)

func TestHistoryConforms(t *testing.T) {
	t.Parallel()
	historytest.Run(t, func(t *testing.T) history.Store { return newQueue(t).History() }, historytest.Options{
		Reopen: func(t *testing.T, s history.Store) history.Store { return reopen(t, s.(historyStore).queue).History() },
	})
}

// An event is stored once for all its entries, and goes with the last of them.
func TestHistoryStoresAnEventOnce(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	s := q.History()
	e := kilobyte("e-1")
	for i := range 10 {
		require.NoError(t, s.Append(t.Context(), history.Entry{Time: time.Now(), Route: channel.RouteID{Name: fmt.Sprint("r", i)}, Event: e}))
	}
	other := e.WithSource("elsewhere") // the same id, other bytes
	require.NoError(t, s.Append(t.Context(), history.Entry{Time: time.Now(), Route: channel.RouteID{Name: "r"}, Event: other}))
	assert.EqualValues(t, 2, rowsOf(t, q, "told"))
	found, err := s.Query(t.Context(), history.Query{EventID: "e-1"})
	require.NoError(t, err)
	require.Len(t, found, 11)
	assert.Equal(t, other.JSON(), found[0].Event.JSON())
	assert.Equal(t, e.JSON(), found[1].Event.JSON())
	n, err := s.Prune(t.Context(), history.Retention{Entries: 1})
	require.NoError(t, err)
	assert.Equal(t, 10, n)
	assert.EqualValues(t, 1, rowsOf(t, q, "told"))
	n, err = s.Prune(t.Context(), history.Retention{Before: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Zero(t, rowsOf(t, q, "told")+rowsOf(t, q, "history"))
}

// More goes than one transaction takes on.
func TestHistoryPrunesMany(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	s := q.History()
	began := time.Now()
	e := kilobyte("e")
	var all []history.Entry
	for i := range 4*chunk + 7 {
		all = append(all, history.Entry{Time: began.Add(time.Duration(i)), Attempt: i, Event: e})
	}
	require.NoError(t, s.Append(t.Context(), all...))
	n, err := s.Prune(t.Context(), history.Retention{Before: began.Add(2 * chunk), Entries: chunk})
	require.NoError(t, err)
	assert.Equal(t, 3*chunk+7, n)
	left, err := s.Query(t.Context(), history.Query{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, left, chunk)
	assert.Equal(t, 4*chunk+6, left[0].Attempt)
	assert.EqualValues(t, 1, rowsOf(t, q, "told"))
}

func TestHistoryAfterClose(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	s := q.History()
	require.NoError(t, q.Close())
	require.ErrorIs(t, s.Append(t.Context(), history.Entry{Event: kilobyte("e")}), ErrClosed)
	_, err := s.Query(t.Context(), history.Query{})
	require.ErrorIs(t, err, ErrClosed)
	_, err = s.Prune(t.Context(), history.Retention{Before: time.Now()})
	require.ErrorIs(t, err, ErrClosed)
}

// A file of the first schema gets the new tables and keeps what it has.
func TestHistoryInAFileOfTheFirstSchema(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), job("e-1", "r")))
	script(t, q, `DROP TABLE document; DROP TABLE history; DROP TABLE history_tenant; DROP TABLE told; DROP INDEX job_urgent; ALTER TABLE job DROP COLUMN urgent;
		ALTER TABLE job DROP COLUMN pause; ALTER TABLE dead DROP COLUMN urgent;
		DROP INDEX dead_ends; ALTER TABLE dead DROP COLUMN ends; DROP INDEX job_later; DELETE FROM known; PRAGMA user_version = 1`)
	q = reopen(t, q)
	require.NoError(t, q.History().Append(t.Context(), history.Entry{Event: kilobyte("e-2")}))
	assert.EqualValues(t, 1, rowsOf(t, q, "history"))
	assert.EqualValues(t, 1, rowsOf(t, q, "job"))
}

func BenchmarkHistoryAppend(b *testing.B) {
	q, err := Open(b.Context(), b.TempDir()+"/queue.db", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	s := q.History()
	batch := make([]history.Entry, 256) // as the recorder makes them when there is much to do
	n := 0
	for b.Loop() {
		for i := range batch {
			n++
			batch[i] = history.Entry{Time: time.Now(), Route: channel.RouteID{Name: fmt.Sprint("r", i%10)}, Event: kilobyte(fmt.Sprint("e", n/10)), Outcome: "delivered"}
		}
		if err := s.Append(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}
