package sqlitequeue

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestAnEventIsStoredOnce, whatever the number of its routes, and as long as one needs it.
func TestAnEventIsStoredOnce(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	e := kilobyte("e")
	var all []queue.Job
	for i := range 10 {
		all = append(all, queue.Job{Event: e, Lane: fmt.Sprintf("lane%d", i), Enqueued: time.Now()})
	}
	require.NoError(t, q.Enqueue(t.Context(), all...))
	assert.EqualValues(t, 10, rowsOf(t, q, "job"))
	assert.EqualValues(t, 1, rowsOf(t, q, "event"))
	r := newRan()
	for i := range 9 {
		serve(t, q, fmt.Sprintf("lane%d", i), 1, r.done)
	}
	eventually(t, func() bool { return rowsOf(t, q, "job") == 1 }, "nine are done")
	assert.EqualValues(t, 1, rowsOf(t, q, "event"), "one needs it")
	serve(t, q, "lane9", 1, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Dead, Reason: "no use"}
	})
	eventually(t, func() bool { return rowsOf(t, q, "job") == 0 }, "the last is dead")
	assert.EqualValues(t, 1, rowsOf(t, q, "event"), "evidence")
	n, err := q.Discard(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.EqualValues(t, 0, rowsOf(t, q, "event"))
}

// TestPeopleCanReadTheFile: the body is the event's JSON, byte for byte, and lanes have names.
func TestPeopleCanReadTheFile(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	stored := job("e", "a route")
	require.NoError(t, q.Enqueue(t.Context(), stored))
	var name, body string
	require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) error {
		return c.each(func(v []driverValue) bool { name, body = text(v[0]), text(v[1]); return false },
			"SELECT lane.name, body FROM job JOIN lane ON lane.num = job.lane JOIN event ON event.seq = job.seq")
	}))
	assert.Equal(t, "a route", name)
	assert.Equal(t, string(stored.Event.JSON()), body)
}

func TestDeadLettersAreKeptForATime(t *testing.T) {
	t.Parallel()
	q := openWith(t, newPath(t), Options{DeadAge: time.Hour})
	q.Bound("a", queue.Bound{DeadLetters: 5})
	serve(t, q, "a", 1, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Dead, Reason: "no use"}
	})
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", 20)...))
	eventually(t, func() bool { return rowsOf(t, q, "job") == 0 && rowsOf(t, q, "dead") == 5 }, "too many go")
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Equal(t, "a-19", letters[4].Event.ID(), "the oldest first")
	assert.Equal(t, 5, count(t, q, "a").Dead)
	assert.EqualValues(t, 5, rowsOf(t, q, "event"))

	require.NoError(t, q.write(t.Context(), "age two of them", func(tx *tx) error {
		_, err := tx.exec("UPDATE dead SET ends = ends - ? WHERE num <= ?", int64(2*time.Hour), letters[1].Seq)
		return err
	}))
	require.NoError(t, q.Close())
	q = openWith(t, q.store.path, Options{DeadAge: time.Hour})
	eventually(t, func() bool { return rowsOf(t, q, "dead") == 3 }, "too old go, although nothing is stored")
	assert.EqualValues(t, 3, rowsOf(t, q, "event"))
	eventually(t, func() bool { return count(t, q, "a").Dead == 3 }, "they are not counted either")
}

// TestManyDeadLetters: more than one transaction takes on.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	const many = chunk + 50
	q := newQueue(t)
	q.Bound("a", queue.Bound{DeadLetters: many})
	l := serve(t, q, "a", 32, func(context.Context, queue.Job) queue.Disposition {
		return queue.Disposition{Action: queue.Dead, Reason: "no use"}
	})
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", many)...))
	eventually(t, func() bool { return count(t, q, "a").Dead == many }, "all are dead")
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Len(t, letters, many)
	n, err := q.Requeue(t.Context(), queue.Selection{Lane: "a"}, 1)
	require.NoError(t, err)
	assert.Equal(t, many, n, "once each, although they become dead again meanwhile")
	eventually(t, func() bool { return count(t, q, "a").Dead == many }, "all are dead again")
	require.NoError(t, l.Stop(t.Context()))
	n, err = q.Requeue(t.Context(), queue.Selection{Limit: chunk + 10}, 2)
	require.NoError(t, err)
	assert.Equal(t, chunk+10, n)
	n, err = q.Purge(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, chunk+10, n)
	n, err = q.Discard(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Equal(t, 40, n)
	assert.EqualValues(t, 0, rowsOf(t, q, "event"))
}

// TestQ2TheWindowIsBounded: the latest ids are known, also after a restart, and what is known does not grow.
func TestQ2TheWindowIsBounded(t *testing.T) {
	t.Parallel()
	const limit, events = 50, 400
	path := newPath(t)
	q := openWith(t, path, Options{IDWindow: limit})
	all := jobs("a", events)
	for _, j := range all {
		require.NoError(t, q.Enqueue(t.Context(), j))
	}
	check := func() {
		t.Helper()
		assert.LessOrEqual(t, len(q.store.known.seen), limit)
		assert.LessOrEqual(t, rowsOf(t, q, "known"), int64(limit))
		before := rowsOf(t, q, "job")
		require.NoError(t, q.Enqueue(t.Context(), all[events-limit/2:]...))
		assert.Equal(t, before, rowsOf(t, q, "job"), "the latest are known")
	}
	check()
	require.NoError(t, q.Close())
	q = openWith(t, path, Options{IDWindow: limit})
	check()
	before := rowsOf(t, q, "job")
	require.NoError(t, q.Enqueue(t.Context(), all[0]))
	assert.Equal(t, before+1, rowsOf(t, q, "job"), "the oldest is not")
	elsewhere := all[events-1]
	elsewhere.Lane = "b"
	require.NoError(t, q.Enqueue(t.Context(), elsewhere), "a lane that has not got it")
	require.NoError(t, q.Close())
	q = openWith(t, path, Options{IDWindow: limit})
	before = rowsOf(t, q, "job")
	require.NoError(t, q.Enqueue(t.Context(), elsewhere, all[events-1]))
	assert.Equal(t, before, rowsOf(t, q, "job"), "both lanes have it")
}

// TestPendingJobsAreNotInMemory: of many, a window is.
func TestPendingJobsAreNotInMemory(t *testing.T) {
	t.Parallel()
	const pending = 5000
	q := newQueue(t)
	l := serve(t, q, "a", 0, newRan().done)
	for n := 0; n < pending; n += 500 {
		all := make([]queue.Job, 500)
		for i := range all {
			all[i] = job(fmt.Sprintf("e%d", n+i), "a")
			if i%2 == 0 {
				all[i].NotBefore = time.Now().Add(time.Hour)
			}
		}
		require.NoError(t, q.Enqueue(t.Context(), all...))
	}
	held := q.durable.InMemory("a").Waiting
	assert.LessOrEqual(t, held, durable.MostWindow)
	assert.Equal(t, queue.Counts{Due: pending / 2, Later: pending / 2}, count(t, q, "a"))
	require.NoError(t, l.Stop(t.Context()))
}

// TestIdleLanesCostNoGoroutine and share what is read ahead.
func TestIdleLanesCostNoGoroutine(t *testing.T) {
	q := newQueue(t)
	before := runtime.NumGoroutine()
	const lanes = 10_000
	r := newRan()
	for i := range lanes {
		serve(t, q, fmt.Sprintf("lane%d", i), 1, r.done)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	assert.Equal(t, durable.LeastWindow, q.durable.Window())
	require.NoError(t, q.Enqueue(t.Context(), job("e", "lane7"), job("e", "lane9999")))
	eventually(t, func() bool { return rowsOf(t, q, "job") == 0 }, "they work")
}

// TestLaneNumbersOutlastARestart: lanes that were only asked for leave no trap for new ones.
func TestLaneNumbersOutlastARestart(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	assert.Equal(t, queue.Counts{}, count(t, q, "looked at"))
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "b")))
	q = reopen(t, q)
	require.NoError(t, q.Enqueue(t.Context(), job("e2", "c"), job("e3", "looked at")))
	q = reopen(t, q)
	names, err := q.Lanes(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "c", "looked at"}, names)
	for _, name := range names {
		assert.Equal(t, queue.Counts{Due: 1}, count(t, q, name), name)
	}
}

// TestUnreadableEventIsDead: what a later version wrote, or a disk spoiled without SQLite's noticing.
func TestUnreadableEventIsDead(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", 3)...))
	script(t, q, "UPDATE event SET format = 99 WHERE seq = 1; UPDATE event SET body = 'not JSON' WHERE seq = 2")
	r := newRan()
	serve(t, q, "a", 1, r.done)
	r.await(t, 1)
	eventually(t, func() bool { return count(t, q, "a") == queue.Counts{Dead: 2} }, "two are dead")
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	require.Len(t, letters, 2)
	assert.Contains(t, letters[0].Reason, "format 99")
	assert.Contains(t, letters[1].Reason, "cannot be read")
	assert.True(t, letters[0].Event.IsZero())
	n, err := q.Requeue(t.Context(), queue.Selection{}, 1)
	require.NoError(t, err)
	assert.Equal(t, 2, n, "for the program that can read it")
	eventually(t, func() bool { return count(t, q, "a") == queue.Counts{Dead: 2} }, "this one cannot")
	letters, err = q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Contains(t, letters[0].Reason, "format 99", "the stored form is as it was")
}
