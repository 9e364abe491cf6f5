package sqlitequeue

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// holdUp keeps the writer busy until release, so that calls wait for one commit.
func holdUp(t *testing.T, q *Queue) (release func()) {
	t.Helper()
	started, proceed := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.NoError(t, q.write(context.Background(), "hold up", func(*tx) error {
			close(started)
			<-proceed
			return nil
		}))
	})
	<-started
	return func() {
		close(proceed)
		wg.Wait()
	}
}

// TestALockedFileIsWaitedForOnce, however many calls share the commit.
func TestALockedFileIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	const calls = 50
	_, o := logged()
	q := openWith(t, newPath(t), o)
	script(t, q, "PRAGMA busy_timeout = 1000")
	tool, err := connect(t.Context(), dsn(q.store.path, url.Values{}))
	require.NoError(t, err)
	require.NoError(t, tool.script(pragmas+"; BEGIN IMMEDIATE"))
	var wg sync.WaitGroup
	refused := func(id string) {
		wg.Go(func() { assert.ErrorIs(t, q.Enqueue(context.Background(), job(id, "a")), ErrBusy) })
	}
	began := time.Now()
	refused("first") // the others gather while it waits for the lock
	for n := range calls {
		refused(fmt.Sprint("e", n))
	}
	wg.Wait()
	assert.Less(t, time.Since(began), calls*time.Second/4, "a few waits, not one for each")
	require.NoError(t, tool.script("COMMIT"))
	require.NoError(t, tool.close())
	require.NoError(t, q.Enqueue(t.Context(), job("e0", "a")))
}

// TestOneBadChangeCostsItsOwnCommitOnly: those before and after it share theirs.
func TestOneBadChangeCostsItsOwnCommitOnly(t *testing.T) {
	t.Parallel()
	_, o := logged()
	q := openWith(t, newPath(t), o)
	require.NoError(t, q.Enqueue(t.Context(), job("first", "a"))) // and the first housekeeping
	release := holdUp(t, q)
	before := q.durable.Stats().Commits
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() { assert.NoError(t, q.Enqueue(context.Background(), job(fmt.Sprint("e", n), "a"))) })
		if n == 50 {
			eventually(t, func() bool { return q.durable.Stats().Waiting == 51 }, "they wait in order")
			wg.Go(func() {
				err := q.write(context.Background(), "fail", func(t *tx) error { return t.script("nonsense") })
				assert.ErrorIs(t, err, ErrOther)
			})
			eventually(t, func() bool { return q.durable.Stats().Waiting == 52 }, "the bad one is in the middle")
		}
	}
	eventually(t, func() bool { return q.durable.Stats().Waiting == 101 }, "all wait")
	release()
	wg.Wait()
	assert.LessOrEqual(t, q.durable.Stats().Commits-before, int64(4))
	assert.Equal(t, queue.Counts{Due: 101}, count(t, q, "a"))
}

// TestALargeCallHoldsUpNobody: others are stored before it is.
func TestALargeCallHoldsUpNobody(t *testing.T) {
	t.Parallel()
	const large = 10 * chunk
	q := newQueue(t)
	all := jobs("large", large)
	before := q.durable.Stats().Commits
	done := make(chan error, 1)
	go func() { done <- q.Enqueue(context.Background(), all...) }()
	eventually(t, func() bool { return q.durable.Stats().Commits > before }, "it has begun")
	others := 0
	for stored := false; !stored; {
		select {
		case err := <-done:
			require.NoError(t, err)
			stored = true
		default:
			require.NoError(t, q.Enqueue(t.Context(), job(fmt.Sprint("other-", others), "other")))
			others++
		}
	}
	assert.Greater(t, others, 5)
	assert.Equal(t, queue.Counts{Due: large}, count(t, q, "large"))
	next := 0
	require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			assert.Equal(t, string(all[next].Event.JSON()), text(v[0]), "in the order of the call")
			next++
			return !t.Failed()
		}, "SELECT body FROM job JOIN event ON event.seq = job.seq JOIN lane ON lane.num = lane WHERE lane.name = 'large' ORDER BY job.seq")
	}))
	assert.Equal(t, large, next)
}

// TestALargeCallInConflictStoresNothing, whoever is first.
func TestALargeCallInConflictStoresNothing(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	other := func(id string) queue.Job {
		j := job(id, "a")
		j.Event = otherData(id)
		return j
	}
	all := jobs("a", 3*chunk)
	last := all[len(all)-1].Event.ID()
	require.NoError(t, q.Enqueue(t.Context(), other(last)))
	var conflict *queue.ConflictError
	require.ErrorAs(t, q.Enqueue(t.Context(), all...), &conflict)
	assert.Equal(t, last, conflict.EventID)
	assert.Equal(t, queue.Counts{Due: 1}, count(t, q, "a"))

	// The other one comes while the large call has stored its first part.
	q = newQueue(t)
	release := holdUp(t, q)
	done := make(chan error, 1)
	go func() { done <- q.Enqueue(context.Background(), all...) }()
	eventually(t, func() bool { return q.durable.Stats().Waiting == 1 }, "the first part waits")
	late := make(chan error, 1)
	go func() { late <- q.Enqueue(context.Background(), append(jobs("b", 100), other(last))...) }() // not a small one
	eventually(t, func() bool { return q.durable.Stats().Waiting == 2 }, "the other call waits behind it")
	release()
	require.NoError(t, <-done)
	require.ErrorAs(t, <-late, &conflict)
	assert.Equal(t, queue.Counts{Due: 3 * chunk}, count(t, q, "a"))
	assert.Equal(t, queue.Counts{}, count(t, q, "b"))
	require.NoError(t, q.Enqueue(t.Context(), all[len(all)-1]), "no claim is left")
	require.ErrorAs(t, q.Enqueue(t.Context(), other(last)), &conflict)
}

// TestEndedRecordsDoNotPileUp: they go as fast as new ones come, whatever their kind.
func TestEndedRecordsDoNotPileUp(t *testing.T) {
	t.Parallel()
	const rounds, each = 20, 20
	q := newQueue(t)
	refs, store := q.SlackReferences(time.Nanosecond), q.Dedup()
	pages := func() (n int64) {
		require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) (err error) {
			n, err = c.number("SELECT page_count FROM pragma_page_count")
			return err
		}))
		return n
	}
	var settled int64
	for round := range rounds {
		for n := range each {
			key := fmt.Sprint(round, "-", n)
			c, err := store.Claim(t.Context(), key, time.Minute)
			require.NoError(t, err)
			require.NoError(t, store.Commit(t.Context(), key, c.Token, time.Nanosecond))
		}
		require.NoError(t, refs.Put(t.Context(), slack.Key{Subject: fmt.Sprint(round)}, slack.Reference{TS: "1"}))
		assert.LessOrEqual(t, rowsOf(t, q, "record"), int64(2*each))
		if round == rounds/4 {
			settled = pages()
		}
	}
	assert.Equal(t, settled, pages(), "the file does not grow")
	assert.LessOrEqual(t, rowsOf(t, q, "record WHERE kind = 2"), int64(2), "references do not wait for delivered keys")
}

// TestLeftOverRecordsGo: what an earlier version has left is removed soon, some at a time.
func TestLeftOverRecordsGo(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), job("first", "a")))
	script(t, q, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3500)
		INSERT INTO record (kind, key, value, ends) SELECT 1, CAST(i AS BLOB), NULL, i FROM n`)
	for n := range 10 {
		// What makes housekeeping due is the time, here as well as in the writer.
		require.NoError(t, q.write(t.Context(), "let time pass", func(tx *tx) error {
			q.store.cleaned = q.store.cleaned.Add(-leftOverEvery)
			if n == 0 {
				q.store.cleaned = time.Time{}
			}
			return nil
		}))
	}
	require.NoError(t, q.Enqueue(t.Context(), job("last", "a")))
	assert.Zero(t, rowsOf(t, q, "record"))
}
