package postgresqueue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// What a process has asked for that is gone removes nothing that was stored afterwards, whoever owns the lane later.
func TestLateRequestsRemoveNothingNewer(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	gone := openAt(t, serverURL(t), q.store.db.schema)
	later := func(id string) queue.Job {
		j := job(id, "a")
		j.NotBefore = time.Now().Add(time.Hour)
		return j
	}
	require.NoError(t, q.Schedule(t.Context(), "key", later("e1")))
	require.NoError(t, q.Enqueue(t.Context(), job("e2", "a")))
	// The owner is one that does not answer.
	script(t, q, `INSERT INTO tocsin.worker (ends) VALUES (now() + interval '1 hour');
		UPDATE tocsin.lane SET owner = (SELECT id FROM tocsin.worker)`)
	asked := make(chan error, 2)
	go func() {
		_, err := gone.Cancel(context.Background(), "a", "key")
		asked <- err
	}()
	go func() {
		_, err := gone.Purge(context.Background(), "a")
		asked <- err
	}()
	require.Eventually(t, func() bool { return rowsOf(t, q, "request") == 2 }, patience, time.Millisecond)
	gone.store.db.pool.Close()
	require.ErrorIs(t, <-asked, ErrConnection)
	require.ErrorIs(t, <-asked, ErrConnection)
	require.Equal(t, 2, rowsOf(t, q, "request"), "they could not be withdrawn")

	require.NoError(t, q.Enqueue(t.Context(), later("e3")))
	require.NoError(t, q.Schedule(t.Context(), "key", later("e4")))
	script(t, q, `UPDATE tocsin.worker SET ends = now() - interval '1 second'`)
	_, err := q.Open("a", queue.LaneOptions{}, handleNothing)
	require.NoError(t, err)
	done := func() bool { return rowsOf(t, q, "request WHERE answer IS NULL") == 0 }
	require.Eventually(t, done, patience, time.Millisecond)
	assert.Equal(t, 2, rowsOf(t, q, "job"), "e3 and e4")
}

// A request that is read again just before it is answered is done twice. Its answer stays the first one.
func TestARequestDoneTwiceKeepsItsAnswer(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	_, err := q.Open("a", queue.LaneOptions{}, handleNothing)
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a"), job("e2", "a")))
	require.Eventually(t, func() bool { return q.store.isMine("a") }, patience, time.Millisecond)
	// Of a lane that nobody has, so that only this test does it.
	script(t, q, `INSERT INTO tocsin.request (id, lane, below, waits) OVERRIDING SYSTEM VALUE VALUES (1000000, -1, 1000000, true)`)
	for range 2 {
		q.answer(request{id: 1000000, lane: "a", below: 1000000, waits: true})
		assert.Equal(t, 1, rowsOf(t, q, "request WHERE id = 1000000 AND answer = 2"))
	}
}
