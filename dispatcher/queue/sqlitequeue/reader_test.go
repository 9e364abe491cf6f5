package sqlitequeue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// occupy takes all connections of a pool until the test ends.
func occupy(t *testing.T, p *pool) {
	t.Helper()
	for range p.size {
		c := <-p.free
		t.Cleanup(func() { p.free <- c })
	}
}

// TestReadersDoNotWaitForEachOther: history, counts, delivered keys and jobs are read side by side.
func TestReadersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	use := map[string]func(t *testing.T, q *Queue) error{
		"history": func(t *testing.T, q *Queue) error {
			_, err := q.History().Query(t.Context(), history.Query{})
			return err
		},
		"inspect": func(t *testing.T, q *Queue) error {
			_, err := q.Count(t.Context(), "a")
			return err
		},
		"records": func(t *testing.T, q *Queue) error {
			_, err := q.Dedup().Claim(t.Context(), "k", time.Minute)
			return err
		},
		"loads": func(t *testing.T, q *Queue) error {
			r := newRan()
			serve(t, q, "a", 1, r.done)
			r.await(t, 1)
			return nil
		},
	}
	pools := func(q *Queue) map[string]*pool {
		r := q.store.readers
		return map[string]*pool{"history": r.history, "inspect": r.inspect, "records": r.records, "loads": r.loads}
	}
	for free := range use {
		t.Run(free, func(t *testing.T) {
			t.Parallel()
			q := newQueue(t)
			require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
			for name, p := range pools(q) {
				if name != free {
					occupy(t, p)
				}
			}
			require.NoError(t, use[free](t, q))
		})
	}
}

// TestReadingEndsWithItsContext: while it waits for a connection, and while SQLite searches.
func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.History().Append(t.Context(), history.Entry{Event: kilobyte("e"), Outcome: "delivered"}))
	script(t, q, `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
		INSERT INTO history SELECT i, i, '', 'r', told, type, subject, outcome, 200, detail, bytes FROM n, (SELECT * FROM history WHERE seq = 1)`)
	search := func(ctx context.Context) error {
		_, err := q.History().Query(ctx, history.Query{Status: 999}) // looks at each entry
		return err
	}
	require.NoError(t, search(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, search(ctx), context.DeadlineExceeded)
	require.NoError(t, search(t.Context()), "the connection is as good as before")
	found, err := q.History().Query(t.Context(), history.Query{Limit: 3, Route: channel.RouteID{Name: "r"}})
	require.NoError(t, err)
	require.Len(t, found, 3)
	assert.EqualValues(t, 100000, found[0].Seq, "the newest first")

	occupy(t, q.store.readers.history)
	occupy(t, q.store.readers.inspect)
	for _, f := range []func(context.Context) error{
		search,
		func(ctx context.Context) error { _, err := q.Count(ctx, "a"); return err },
		func(ctx context.Context) error { _, err := q.DeadLetters(ctx, queue.Selection{}); return err },
	} {
		require.NoError(t, q.Enqueue(t.Context(), job("e", "a")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		require.ErrorIs(t, f(ctx), context.DeadlineExceeded)
		cancel()
	}
}

// TestWhoOnlyLooksCreatesNothing.
func TestWhoOnlyLooksCreatesNothing(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	assert.Equal(t, queue.Counts{}, count(t, q, "a"))
	n, err := q.Purge(t.Context(), "b")
	require.NoError(t, err)
	assert.Zero(t, n)
	found, err := q.Cancel(t.Context(), "c", "key")
	require.NoError(t, err)
	assert.False(t, found)
	letters, err := q.DeadLetters(t.Context(), queue.Selection{Lane: "d"})
	require.NoError(t, err)
	assert.Empty(t, letters)
	assert.Zero(t, q.durable.Stats().Lanes)
	require.NoError(t, q.Close())
	_, err = q.Count(t.Context(), "a")
	require.ErrorIs(t, err, ErrClosed)
	_, err = q.Purge(t.Context(), "a")
	require.ErrorIs(t, err, ErrClosed)
}
