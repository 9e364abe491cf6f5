package postgresqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dedup/deduptest"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/history/historytest"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

// newQueue opens a queue in a new schema.
func newQueue(t testing.TB) *Queue {
	t.Helper()
	url := serverURL(t)
	return openAt(t, url, newSchema(t, url))
}

func openAt(t testing.TB, url, schema string) *Queue {
	t.Helper()
	return openWith(t, url, Options{Schema: schema})
}

func openWith(t testing.TB, url string, o Options) *Queue {
	t.Helper()
	if o.Lease == 0 {
		o.Lease = longTestLease
	}
	q, err := Open(t.Context(), poolConfig(t, url), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// reopen is a restart of the program.
func reopen(t testing.TB, q *Queue) *Queue {
	t.Helper()
	require.NoError(t, q.Close())
	return openAt(t, q.store.db.pool.Config().ConnString(), q.store.db.schema)
}

// suite is the conformance suite for a server.
func suite(url func(t testing.TB) string, window int) queuetest.Suite {
	limit := func(q *Queue) queue.Queue {
		if window > 0 {
			q.durable.SetWindow(window)
		}
		return q
	}
	return queuetest.Suite{
		New: func(t *testing.T) queue.Queue { return limit(openAt(t, url(t), newSchema(t, url(t)))) },
		Reopen: func(t *testing.T, q queue.Queue) queue.Queue {
			own, _ := q.(*Queue)
			return limit(reopen(t, own))
		},
		Process: &queuetest.Process{
			Store: func(t *testing.T) string { return storeOf(url(t), newSchema(t, url(t))) },
			Open: func(t *testing.T, store string) queue.Queue {
				q, closeQueue, err := openChild(store)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, closeQueue()) })
				return q
			},
			Shared: true,
			Owned:  true,
			Kills:  runs(2),
		},
		Unit:     500 * time.Millisecond,
		Crowd:    1000,
		Parallel: true,
	}
}

func TestConforms(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, suite(serverURL, 0))
}

// TestConformsWithASmallWindow: nearly every job is read back from the database.
func TestConformsWithASmallWindow(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, suite(serverURL, 2))
}

func TestDedupConforms(t *testing.T) {
	t.Parallel()
	deduptest.Run(t, func(t *testing.T) dedup.Store { return newQueue(t).Dedup() }, deduptest.Options{})
}

func TestHistoryConforms(t *testing.T) {
	t.Parallel()
	historytest.Run(t, func(t *testing.T) history.Store { return newQueue(t).History() }, historytest.Options{
		Reopen: func(t *testing.T, s history.Store) history.Store {
			own, _ := s.(historyStore)
			return reopen(t, own.queue).History()
		},
	})
}
