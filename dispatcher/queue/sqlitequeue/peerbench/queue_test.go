//go:build unix

package peerbench

import (
	"context"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

const lanes = 10

type ours struct {
	queue *sqlitequeue.Queue
	seed  maphash.Seed
}

func openQueue(b *testing.B, path string, done func(string)) peer {
	b.Helper()
	q, err := sqlitequeue.Open(context.Background(), path, sqlitequeue.Options{})
	require.NoError(b, err)
	for i := range lanes {
		_, err := q.Open(lane(i), queue.LaneOptions{Limit: workers / lanes}, func(_ context.Context, j queue.Job) queue.Outcome {
			done(j.Event.ID())
			return queue.Outcome{Action: queue.Done}
		})
		require.NoError(b, err)
	}
	return &ours{queue: q, seed: maphash.MakeSeed()}
}

func lane(n int) string { return fmt.Sprintf("lane%d", n) }

func (o *ours) put(ctx context.Context, e event.Event) error {
	route := lane(int(maphash.String(o.seed, e.ID()) % lanes))
	return o.queue.Enqueue(ctx, queue.Job{Event: e, Route: route, Enqueued: time.Now()})
}

func (o *ours) close() { _ = o.queue.Close() }
