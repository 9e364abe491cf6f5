package sqlitequeue

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// kilobyte is an event of about 1 KiB.
func kilobyte(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: strings.Repeat("because ", 80)}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

func benchQueue(b *testing.B) *Queue {
	b.Helper()
	q, err := Open(b.Context(), filepath.Join(b.TempDir(), "queue.db"), Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, q.Close()) })
	return q
}

// BenchmarkMixed enqueues, runs and settles at once: 64 producers, 10 lanes with 16 handlers each.
func BenchmarkMixed(b *testing.B) {
	q := benchQueue(b)
	var done atomic.Int64
	all := make(chan struct{})
	for i := range 10 {
		_, err := q.Open(fmt.Sprintf("lane%d", i), queue.LaneOptions{Limit: 16}, func(context.Context, queue.Job) queue.Outcome {
			if done.Add(1) == int64(b.N) {
				close(all)
			}
			return queue.Outcome{Action: queue.Done}
		})
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				j := queue.Job{Event: kilobyte(fmt.Sprintf("e%d", n)), Route: fmt.Sprintf("lane%d", n%10), Enqueued: time.Now()}
				if err := q.Enqueue(context.Background(), j); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(q.writer.commits.Load())/float64(b.N), "commits/job")
}
