package sqlitequeue

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
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
		_, err := q.Open(fmt.Sprintf("lane%d", i), queue.LaneOptions{Limit: 16}, func(context.Context, queue.Job) queue.Disposition {
			if done.Add(1) == int64(b.N) {
				close(all)
			}
			return queue.Disposition{Action: queue.Done}
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
				j := queue.Job{Event: kilobyte(fmt.Sprintf("e%d", n)), Lane: fmt.Sprintf("lane%d", n%10), Enqueued: time.Now()}
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
	b.ReportMetric(float64(q.durable.Stats().Commits)/float64(b.N), "commits/job")
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
		_, err := q.Open(fmt.Sprintf("lane%d", i), queue.LaneOptions{Limit: 16}, func(context.Context, queue.Job) queue.Disposition {
			if done.Add(1) == int64(b.N) {
				close(all)
			}
			return queue.Disposition{Action: queue.Done}
		})
		require.NoError(b, err)
	}
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(q.durable.Stats().Commits)/float64(b.N), "commits/job")
}

// pend stores n jobs of a lane, a thousand at a time.
func pend(b *testing.B, q *Queue, lane string, n int) {
	b.Helper()
	for done := 0; done < n; done += 1000 {
		batch := make([]queue.Job, min(1000, n-done))
		for i := range batch {
			batch[i] = job(fmt.Sprintf("%s-%d", lane, done+i), lane)
		}
		require.NoError(b, q.Enqueue(b.Context(), batch...))
	}
}

// BenchmarkPending is the price of a job that waits, 1 KiB each, in ten lanes that are open: run it with -benchtime
// 1000000x.
func BenchmarkPending(b *testing.B) {
	q := benchQueue(b)
	for i := range 10 {
		serve(b, q, fmt.Sprintf("lane%d", i), 0, newRan().done)
	}
	before := heap()
	b.ResetTimer()
	for i := range 10 {
		pend(b, q, fmt.Sprintf("lane%d", i), b.N/10)
	}
	b.StopTimer()
	after := heap()
	b.ReportMetric(float64(after-before)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(after-before)/float64(b.N), "heap-B/job")
	var pages int64
	require.NoError(b, q.store.readers.inspect.read(b.Context(), func(c *conn) (err error) {
		pages, err = c.number("PRAGMA page_count")
		return err
	}))
	b.ReportMetric(float64(pages*4096)/float64(b.N), "disk-B/job")
}

// heap is what is in use once the garbage is gone.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkFullBacklog is the price of a job that takes the place of the oldest, or is refused, in a lane with so many
// that wait, every second of them for its time.
func BenchmarkFullBacklog(b *testing.B) {
	for _, waiting := range []int{1000, 100_000} {
		for _, drop := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/drop=%v", waiting, drop), func(b *testing.B) {
				q := benchQueue(b)
				for done := 0; done < waiting; done += 1000 {
					batch := make([]queue.Job, 1000)
					for i := range batch {
						batch[i] = job(fmt.Sprintf("e%d", done+i), "a")
						if i%2 == 0 {
							batch[i].NotBefore = time.Now().Add(time.Hour)
						}
					}
					require.NoError(b, q.Enqueue(b.Context(), batch...))
				}
				q.Bound("a", queue.Bound{Jobs: waiting, DropOldest: drop})
				b.ResetTimer()
				for n := 0; n < b.N; n += 100 {
					batch := make([]queue.Job, 100)
					for i := range batch {
						batch[i] = job(fmt.Sprintf("more%d", n+i), "a")
					}
					if err := q.Enqueue(b.Context(), batch...); drop {
						require.NoError(b, err)
					}
				}
			})
		}
	}
}

// BenchmarkRestart opens a file with 100,000 pending jobs, up to the first one that runs.
func BenchmarkRestart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "queue.db")
	q, err := Open(b.Context(), path, Options{})
	require.NoError(b, err)
	for i := range 10 {
		pend(b, q, fmt.Sprintf("lane%d", i), 10_000)
	}
	require.NoError(b, q.Close())
	for b.Loop() {
		q, err := Open(b.Context(), path, Options{})
		require.NoError(b, err)
		first := make(chan struct{}, 1)
		serve(b, q, "lane7", 1, func(context.Context, queue.Job) queue.Disposition {
			select {
			case first <- struct{}{}:
			default:
			}
			return queue.Disposition{Action: queue.Postpone, Delay: time.Hour}
		})
		<-first
		require.NoError(b, q.Close())
	}
}

// BenchmarkBesideADeadLane is how long a job of one of nine live lanes waits while a tenth has 100,000 jobs and every
// attempt there fails and is retried.
func BenchmarkBesideADeadLane(b *testing.B) {
	for _, dead := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("dead=%d", dead), func(b *testing.B) {
			q := benchQueue(b)
			pend(b, q, "dead", dead)
			serve(b, q, "dead", 16, func(context.Context, queue.Job) queue.Disposition {
				<-time.After(time.Millisecond)
				return queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
			})
			started := make(chan time.Time, 1)
			for i := range 9 {
				serve(b, q, fmt.Sprintf("live%d", i), 4, func(context.Context, queue.Job) queue.Disposition {
					started <- time.Now()
					return queue.Disposition{Action: queue.Done}
				})
			}
			var took []time.Duration
			b.ResetTimer()
			for n := range b.N {
				began := time.Now()
				require.NoError(b, q.Enqueue(b.Context(), job(fmt.Sprintf("e%d", n), fmt.Sprintf("live%d", n%9))))
				took = append(took, (<-started).Sub(began))
				<-time.After(2 * time.Millisecond)
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkBesideAFlood is how long a job of a quiet lane waits while eight lanes work off 100,000 jobs and get more
// from eight goroutines, which enqueue single jobs or a thousand in a call.
func BenchmarkBesideAFlood(b *testing.B) {
	for _, flood := range []struct {
		name          string
		pending, call int // jobs
	}{{"none", 0, 0}, {"single jobs", 100_000, 1}, {"a thousand in a call", 100_000, 1000}} {
		b.Run(flood.name, func(b *testing.B) {
			q := benchQueue(b)
			for i := range 8 {
				name := fmt.Sprintf("noisy%d", i)
				pend(b, q, name, flood.pending/8)
				serve(b, q, name, 4, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{Action: queue.Done} })
			}
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(b.Context())
			for i := range min(flood.call, 1) * 8 {
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						all := make([]queue.Job, flood.call)
						for k := range all {
							all[k] = job(fmt.Sprintf("more-%d-%d-%d", i, n, k), fmt.Sprintf("noisy%d", i))
						}
						_ = q.Enqueue(ctx, all...) // an error is that of ctx
					}
				})
			}
			started := make(chan time.Time, 1)
			serve(b, q, "quiet", 1, func(context.Context, queue.Job) queue.Disposition {
				started <- time.Now()
				return queue.Disposition{Action: queue.Done}
			})
			var took []time.Duration
			b.ResetTimer()
			for n := range b.N {
				began := time.Now()
				require.NoError(b, q.Enqueue(b.Context(), job(fmt.Sprintf("e%d", n), "quiet")))
				took = append(took, (<-started).Sub(began))
				<-time.After(2 * time.Millisecond)
			}
			b.StopTimer()
			cancel()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkLateness is how late a job with a time starts while others keep the queue busy.
func BenchmarkLateness(b *testing.B) {
	q := benchQueue(b)
	late := make(chan time.Duration, 1)
	serve(b, q, "timed", 4, func(_ context.Context, j queue.Job) queue.Disposition {
		late <- time.Since(j.NotBefore)
		return queue.Disposition{Action: queue.Done}
	})
	var took []time.Duration
	b.ResetTimer()
	for n := range b.N {
		j := job(fmt.Sprintf("e%d", n), "timed")
		j.NotBefore = time.Now().Add(20 * time.Millisecond)
		require.NoError(b, q.Enqueue(b.Context(), j))
		took = append(took, <-late)
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
