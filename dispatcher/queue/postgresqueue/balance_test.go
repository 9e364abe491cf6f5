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

// handleNothing is a handler that has done everything.
func handleNothing(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} }

// A lane whose handlers took too long to be handed over keeps no others from it.
func TestLanesAreSharedAfterOneTookTooLong(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for _, name := range []string{"a", "b"} {
		_, err := q.Open(name, queue.LaneOptions{}, handleNothing)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return q.store.isMine(name) }, patience, time.Millisecond)
	}
	chosen := func() (news durable.News) {
		q.store.balanced = time.Time{}
		assert.NoError(t, q.store.balance(&news, nil))
		return news
	}
	require.NoError(t, q.durable.Change(t.Context(), "balance", 1, 0, func(durable.Tx) error {
		script(t, q, `INSERT INTO tocsin.worker (ends) VALUES (now() + interval '1 hour');
			INSERT INTO tocsin.want SELECT num, (SELECT max(id) FROM tocsin.worker) FROM tocsin.lane`)
		first := chosen().Leave
		if !assert.Len(t, first, 1) {
			return nil
		}
		assert.Empty(t, chosen().Leave, "it is on its way")
		q.store.leaving[first[0]] = time.Now().Add(-durable.MostLeaving)
		assert.Len(t, chosen().Leave, 1)
		return nil
	}))
}
