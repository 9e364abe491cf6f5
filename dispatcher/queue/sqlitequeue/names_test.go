package sqlitequeue

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestNamesComeAndGo: lanes that were used and are closed and empty leave nothing in memory nor in the file, beside
// what is known of the latest events. That a name is used again is no reason to run an event twice.
func TestNamesComeAndGo(t *testing.T) {
	const atOnce = 1000
	names := 100_000
	if raceEnabled { // SQLite, which is Go here, takes minutes for them
		names = 10_000
	}
	q := openWith(t, newPath(t), Options{IDWindow: 1000})
	handler := func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Generation == 1 {
			return queue.Disposition{Action: queue.Dead, Reason: "no use"}
		}
		return queue.Disposition{Action: queue.Done}
	}
	some := func(first, n int) {
		open := make([]queue.Lane, n)
		var all []queue.Job
		for i := range open {
			name := fmt.Sprint("lane ", first+i)
			q.Bound(name, queue.Bound{Jobs: 10, Group: "group of " + name, GroupJobs: 10, DropOldest: true, DeadLetters: 3})
			open[i] = serve(t, q, name, 1, handler)
			j := queue.Job{Event: small(fmt.Sprintf("e%d", (first+i)/100)), Lane: name, Enqueued: time.Now()}
			if i%50 == 0 {
				j.Generation = 1
			}
			all = append(all, j)
		}
		require.NoError(t, q.Enqueue(t.Context(), all...))
		for _, l := range open {
			require.NoError(t, l.Drain(t.Context(), time.Time{}))
			require.NoError(t, l.Stop(t.Context()))
		}
		n, err := q.Discard(t.Context(), queue.Selection{LanePrefix: "lane "})
		require.NoError(t, err)
		require.Equal(t, len(open)/50, n)
	}
	pages := func() (n int64) {
		require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) (err error) { n, err = c.number("PRAGMA page_count"); return err }))
		return n
	}
	some(0, 2*atOnce)
	heapBefore, pagesBefore := heap(), pages()
	for first := 2 * atOnce; first < names; first += atOnce {
		some(first, atOnce)
	}
	assert.Less(t, heap()-heapBefore, int64(1<<20))
	assert.Less(t, (pages()-pagesBefore)*pageSize, int64(1<<20))
	assert.LessOrEqual(t, q.durable.Stats().Lanes, 256)
	assert.LessOrEqual(t, rowsOf(t, q, "lane"), int64(256))
	left, err := q.Lanes(t.Context())
	require.NoError(t, err)
	assert.Empty(t, left)

	last := fmt.Sprint("lane ", names-1)
	require.NoError(t, q.Enqueue(t.Context(), queue.Job{Event: small(fmt.Sprintf("e%d", (names-1)/100)), Lane: last}, job("new", "a new lane")))
	assert.Equal(t, queue.Counts{}, count(t, q, last), "known")
	assert.Equal(t, queue.Counts{Due: 1}, count(t, q, "a new lane"), "whatever number it got")
}
