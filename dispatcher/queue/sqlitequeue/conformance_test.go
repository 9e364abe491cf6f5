package sqlitequeue

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dedup/deduptest"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

// newQueue opens a queue in a new file.
func newQueue(t *testing.T) *Queue {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "queue.db"))
}

func openAt(t *testing.T, path string) *Queue {
	t.Helper()
	q, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

func TestConforms(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Suite{
		New: func(t *testing.T) queue.Queue { return newQueue(t) },
		Reopen: func(t *testing.T, q queue.Queue) queue.Queue {
			before := q.(*Queue)
			require.NoError(t, before.Close())
			return openAt(t, before.path)
		},
		Process: &queuetest.Process{
			Store: func(t *testing.T) string { return filepath.Join(t.TempDir(), "queue.db") },
			Open:  func(t *testing.T, store string) queue.Queue { return openAt(t, store) },
			Kills: kills(),
		},
		Unit: 100 * time.Millisecond,
	})
}

func TestDedupConforms(t *testing.T) {
	t.Parallel()
	deduptest.Run(t, func(t *testing.T) dedup.Store { return newQueue(t).Dedup() })
}
