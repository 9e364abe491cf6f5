package sqlitequeue

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func openWitnessed(t *testing.T) *Queue {
	t.Helper()
	q, err := open(t.Context(), newPath(t), Options{}, witnessed.parameters(t))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// TestQ1TheWriterIsSafe reads back what the writing connection is set to.
func TestQ1TheWriterIsSafe(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for name, want := range map[string]string{
		"synchronous": "2", "journal_mode": "wal", "busy_timeout": "10000", "user_version": fmt.Sprint(len(migrations())),
		"journal_size_limit": fmt.Sprint(2 * mostLogPages * pageSize), "wal_autocheckpoint": fmt.Sprint(mostLogPages),
	} {
		var got string
		require.NoError(t, q.write(t.Context(), "test", func(tx *tx) (err error) { got, err = tx.pragma(name); return err }))
		assert.Equal(t, want, got, name)
	}
	var strict int64
	require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) (err error) {
		strict, err = c.number("SELECT min(strict) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
		return err
	}))
	assert.EqualValues(t, 1, strict, "every table is STRICT")
}

// TestQ1EveryGroupCommitIsSynced counts.
func TestQ1EveryGroupCommitIsSynced(t *testing.T) {
	t.Parallel()
	q := openWitnessed(t)
	r := newRan()
	serve(t, q, "a", 4, r.done)
	require.NoError(t, q.Enqueue(t.Context(), job("first", "elsewhere"))) // and the first housekeeping, which has nothing to do
	require.NoError(t, q.Enqueue(t.Context(), job("second", "elsewhere")))
	commits, syncs := q.durable.Stats().Commits, witnessed.syncs(q.store.path+"-wal")
	var wg sync.WaitGroup
	for e := range 8 {
		wg.Go(func() {
			for n := range 25 {
				assert.NoError(t, q.Enqueue(context.Background(), job(fmt.Sprintf("e%d-%d", e, n), "a")))
			}
		})
	}
	wg.Wait()
	r.await(t, 200)
	eventually(t, func() bool { return count(t, q, "a") == queue.Counts{} }, "everything is settled")
	commits, syncs = q.durable.Stats().Commits-commits, witnessed.syncs(q.store.path+"-wal")-syncs
	t.Logf("200 jobs stored and settled in %d commits, with %d syncs of the log", commits, syncs)
	assert.GreaterOrEqual(t, int64(syncs), commits)
	assert.Less(t, commits, int64(400), "calls share commits")
}

// TestQ1PowerCut cuts the files back to the last sync while everything goes on, and to some of the writes after it.
func TestQ1PowerCut(t *testing.T) {
	t.Parallel()
	q := openWitnessed(t)
	var mu sync.Mutex
	acked := map[string]bool{}
	r := newRan()
	serve(t, q, "a", 4, r.done)
	ctx, stop := context.WithCancel(t.Context())
	var pause sync.RWMutex // locked while a copy is looked at
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for e := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				pause.RLock()
				pause.RUnlock() //nolint:staticcheck // only to wait
				id := fmt.Sprintf("e%d-%d", e, n)
				if q.Enqueue(ctx, job(id, "a"), job(id, "waits")) == nil {
					mu.Lock()
					acked[id] = true
					mu.Unlock()
				}
			}
		})
	}
	for cut := range 8 {
		r.await(t, 40*(cut+1)+rand.IntN(20))
		mu.Lock()
		promised := maps.Clone(acked) // before the cut; what ran is looked at after it
		mu.Unlock()
		copied := openAt(t, witnessed.powerCut(t, q.store.path, cut%4))
		pause.Lock()
		before := r.ids()
		after, waits := newRan(), newRan()
		serve(t, copied, "a", 4, after.done)
		serve(t, copied, "waits", 4, waits.done)
		eventually(t, func() bool { return count(t, copied, "a").Due+count(t, copied, "waits").Due == 0 }, "the copy is empty")
		require.NoError(t, copied.Close())
		for id := range promised {
			assert.True(t, before[id] > 0 || after.ids()[id] > 0, "cut %d: acknowledged job %s of lane a is lost", cut, id)
			assert.Equal(t, 1, waits.ids()[id], "cut %d: acknowledged job %s of lane waits", cut, id)
		}
		pause.Unlock()
	}
}

// TestQ1TornLog cuts the log of a crashed process in the middle of its last frames, and adds what a disk may leave
// there.
func TestQ1TornLog(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", 50)...))
	whole := copyFiles(t, q.store.path)
	require.NoError(t, q.Enqueue(t.Context(), jobs("b", 50)...))
	size := func(path string) int64 {
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return info.Size()
	}
	for _, tail := range []int64{1, 100, 4095, 4096 + 24, 3 * 4096} {
		torn := copyFiles(t, q.store.path)
		require.Greater(t, size(torn)-tail, size(whole), "the cut is in the second commit")
		require.NoError(t, os.Truncate(torn+"-wal", size(torn)-tail))
		log, err := os.OpenFile(torn+"-wal", os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = log.WriteString("whatever the disk had there before")
		require.NoError(t, err)
		require.NoError(t, log.Close())
		back := openAt(t, torn)
		assert.Equal(t, queue.Counts{Due: 50}, count(t, back, "a"), "the commit before is whole")
		assert.Equal(t, queue.Counts{}, count(t, back, "b"), "the torn one is gone as a whole")
		require.NoError(t, back.Enqueue(t.Context(), jobs("b", 50)...))
		r := newRan()
		serve(t, back, "a", 4, r.done)
		serve(t, back, "b", 4, r.done)
		r.await(t, 100)
	}
}

// copyFiles copies a queue's files as a crash would leave them.
func copyFiles(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "queue.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, b, 0o600))
	}
	return to
}

// TestQ13RestartServesAtOnce: with many jobs pending, most of them later.
func TestQ13RestartServesAtOnce(t *testing.T) {
	t.Parallel()
	const pending = 5000
	q := newQueue(t)
	for n := 0; n < pending; n += 1000 {
		batch := make([]queue.Job, 1000)
		for i := range batch {
			batch[i] = queue.Job{Event: kilobyte(fmt.Sprintf("e%d", n+i)), Lane: fmt.Sprintf("lane%d", i%10), Enqueued: time.Now()}
		}
		require.NoError(t, q.Enqueue(t.Context(), batch...))
	}
	require.NoError(t, q.Close())
	began := time.Now()
	q = openAt(t, q.store.path)
	r := newRan()
	for i := range 10 {
		serve(t, q, fmt.Sprintf("lane%d", i), 4, r.done)
	}
	r.await(t, 1)
	t.Logf("the first of %d pending jobs ran %v after the file was opened", pending, time.Since(began))
	r.await(t, pending)
	for id, n := range r.ids() {
		assert.Equal(t, 1, n, id)
	}
	eventually(t, func() bool { return rowsOf(t, q, "job") == 0 }, "all are settled")
}
