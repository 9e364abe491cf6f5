package sqlitequeue

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

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

// BenchmarkDrain runs what was enqueued before: 10 lanes with 16 handlers each.
func BenchmarkDrain(b *testing.B) {
	q := benchQueue(b)
	const batch = 100
	for n := 0; n < b.N; n += batch {
		var all []queue.Job
		for i := n; i < min(n+batch, b.N); i++ {
			all = append(all, job(fmt.Sprintf("e%d", i), fmt.Sprintf("lane%d", i%10)))
		}
		require.NoError(b, q.Enqueue(b.Context(), all...))
	}
	b.ReportAllocs()
	b.ResetTimer()
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
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(q.writer.commits.Load())/float64(b.N), "commits/job")
}
