package postgresqueue

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// A lane that was gained while the lease ended is interrupted like all others.
func TestGivingUpTheLeaseInterruptsAll(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	started, cancelled := make(chan struct{}, 10), make(chan struct{}, 10)
	_, err := q.Open("a", queue.LaneOptions{Limit: 1}, func(ctx context.Context, _ queue.Job) queue.Disposition {
		started <- struct{}{}
		<-ctx.Done()
		cancelled <- struct{}{}
		return queue.Disposition{}
	})
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a")))
	<-started
	q.store.over.Store(true) // as endLease does, which was before the job started
	q.store.poll()
	<-cancelled
}
