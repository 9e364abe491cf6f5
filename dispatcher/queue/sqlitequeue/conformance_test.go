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
	return openAt(t, newPath(t))
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "queue.db")
}

func openAt(t *testing.T, path string) *Queue {
	t.Helper()
	return openWith(t, path, Options{})
}

func openWith(t *testing.T, path string, o Options) *Queue {
	t.Helper()
	q, err := Open(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// reopen is a restart of the program.
func reopen(t *testing.T, q *Queue) *Queue {
	t.Helper()
	require.NoError(t, q.Close())
	return openAt(t, q.store.path)
}

func TestConforms(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Suite{
		New:    func(t *testing.T) queue.Queue { return newQueue(t) },
		Reopen: func(t *testing.T, q queue.Queue) queue.Queue { return reopen(t, q.(*Queue)) },
		Process: &queuetest.Process{
			Store: newPath,
			Open:  func(t *testing.T, store string) queue.Queue { return openAt(t, store) },
			Kills: kills(),
		},
		Unit: 100 * time.Millisecond,
	})
}

// TestConformsWithASmallWindow: nearly every job is read back from the file.
func TestConformsWithASmallWindow(t *testing.T) {
	t.Parallel()
	small := func(q *Queue) queue.Queue {
		q.durable.SetWindow(2)
		return q
	}
	queuetest.Run(t, queuetest.Suite{
		New:    func(t *testing.T) queue.Queue { return small(newQueue(t)) },
		Reopen: func(t *testing.T, q queue.Queue) queue.Queue { return small(reopen(t, q.(*Queue))) },
		Process: &queuetest.Process{
			Store: newPath,
			Open:  func(t *testing.T, store string) queue.Queue { return small(openAt(t, store)) },
			Kills: 1,
		},
		Unit:  100 * time.Millisecond,
		Crowd: 300,
	})
}

func TestDedupConforms(t *testing.T) {
	t.Parallel()
	deduptest.Run(t, func(t *testing.T) dedup.Store { return newQueue(t).Dedup() }, deduptest.Options{})
}
