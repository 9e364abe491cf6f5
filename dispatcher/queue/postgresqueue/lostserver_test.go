package postgresqueue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// A standby that was promoted without the latest events gives their numbers to others.
func TestEventsOfALostServerAreForgotten(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a"), job("e1", "b")))
	_, err := q.Open("a", queue.LaneOptions{}, handleNothing)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return q.durable.InMemory("a").Waiting == 1 }, patience, time.Millisecond)
	require.NoError(t, q.durable.Change(t.Context(), "lose the connection", 1, 0, func(durable.Tx) error {
		script(t, q, "UPDATE tocsin.event SET body = convert_to('"+string(kilobyte("e2").JSON())+"', 'UTF8')")
		q.store.Failed(context.DeadlineExceeded)
		return nil
	}))
	ran := make(chan string, 1)
	_, err = q.Open("b", queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
		ran <- j.Event.ID()
		return queue.Disposition{}
	})
	require.NoError(t, err)
	assert.Equal(t, "e2", <-ran)
}

// A read that finds the connection lost has the lanes read anew: the pool may replace the other connections unnoticed.
func TestLostReadsHaveLanesReadAnew(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	name := newSchema(t, url)
	q := openWith(t, url+"&application_name="+name, Options{Schema: name})
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a")))
	_ = q.durable.Change(t.Context(), "read", 1, 0, func(durable.Tx) error {
		assert.NoError(t, execute(t.Context(), url,
			"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = '"+name+"'"))
		_, err := q.store.Load(&durable.Lane{Name: "a"}, durable.LoadQuery{Nums: func() []int64 { return nil }})
		assert.ErrorIs(t, storeError("read", err), ErrConnection)
		assert.True(t, q.store.resync)
		return nil
	})
}

// A process whose lease is gone when the server answers again knows at once.
func TestLeaseThatIsGoneAfterTheConnectionWasLost(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	_, err := q.Open("a", queue.LaneOptions{}, handleNothing)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return q.store.isMine("a") }, patience, time.Millisecond)
	require.NoError(t, q.durable.Change(t.Context(), "lose the lease", 1, 0, func(durable.Tx) error {
		script(t, q, "DELETE FROM tocsin.worker")
		q.store.noteLost(context.DeadlineExceeded)
		assert.Error(t, q.store.followFeed(&durable.News{}, nil))
		assert.True(t, q.store.over.Load())
		return nil
	}))
}
