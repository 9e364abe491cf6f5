package sqlitequeue

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestNothingIsReadAsAWhole: what is done with one lane's jobs and dead letters costs the same whatever others have.
func TestNothingIsReadAsAWhole(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	ctx := t.Context()
	q.Bound("a", queue.Bound{Jobs: 2, DropOldest: true, DeadLetters: 2})
	require.NoError(t, q.Enqueue(ctx, jobs("a", 6)...))
	require.NoError(t, q.Schedule(ctx, "key", job("later", "b")))
	first, second := job("first", "b"), job("second", "b")
	first.OrderKey, second.OrderKey = "k", "k"
	require.NoError(t, q.Enqueue(ctx, first, second))
	_, err := q.Cancel(ctx, "b", "key")
	require.NoError(t, err)
	count(t, q, "a")
	for _, s := range []queue.Selection{{Lane: "a"}, {LanePrefix: "a"}, {Lane: "a", Since: time.Now(), After: 1, Limit: 1}} {
		_, err := q.DeadLetters(ctx, s)
		require.NoError(t, err)
		_, err = q.Requeue(ctx, s, 1)
		require.NoError(t, err)
		_, err = q.Discard(ctx, s)
		require.NoError(t, err)
	}
	l := serve(t, q, "a", 1, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Dead, Reason: "no use"}
	})
	require.NoError(t, l.Drain(ctx, time.Time{}))
	require.NoError(t, l.Stop(ctx))
	_, err = q.Purge(ctx, "a")
	require.NoError(t, err)
	_, err = q.Purge(ctx, "b")
	require.NoError(t, err)

	var queries []string
	collect := func(c *conn) error {
		queries = slices.AppendSeq(queries, maps.Keys(c.statements))
		return nil
	}
	require.NoError(t, q.write(ctx, "collect", func(t *tx) error { return collect(t.conn) }))
	require.NoError(t, q.store.readers.inspect.read(ctx, collect))
	require.NoError(t, q.store.readers.loads.read(ctx, collect))
	require.NoError(t, q.store.readers.inspect.read(ctx, func(c *conn) error {
		for _, query := range queries {
			plan := ""
			err := c.each(func(v []driverValue) bool { plan += text(v[3]) + "\n"; return true }, "EXPLAIN QUERY PLAN "+query, make([]any, 20)...)
			require.NoError(t, err, query)
			if strings.HasPrefix(query, "UPDATE dead SET ends") || strings.HasSuffix(query, "FROM lane") {
				continue // at the start
			}
			for _, table := range []string{"dead", "event"} {
				assert.NotContains(t, plan, "SCAN "+table, query)
			}
			assert.NotContains(t, plan, "SEARCH dead USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", query)
			for column, index := range map[string]string{"order_key = ?": "INDEX job_order (lane=? AND order_key=?)", "AND name = ?": "INDEX job_name (lane=? AND name=?)"} {
				if strings.Contains(query, "job") && strings.Contains(query, column) {
					assert.Contains(t, plan, index, query)
				}
			}
		}
		return nil
	}))
}
