//go:build unix

package memoryqueue

import (
	"context"
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// held is the memory in use, stacks included, after a collection.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkPendingRetries has retries pending that come due at 500,000 a second. Reported are the bytes of each beyond
// its queue.Job, the processor time of each, from being due to having run, and how late the latest one was, in the run
// with the least, because the machine may be busy with other things.
//
//	go test -run '^$' -bench PendingRetries -benchtime 3x
func BenchmarkPendingRetries(b *testing.B) {
	const every = 2 * time.Microsecond
	for _, way := range []struct {
		name string
		n    int
		pend func(b *testing.B, r *retries)
	}{
		{"memory", 1_000_000, memoryRetries},
		{"floor=AfterFunc", 1_000_000, afterFuncRetries},
		{"floor=goroutine", 100_000, goroutineRetries}, // 1,000,000 would need 3 GB
	} {
		b.Run(fmt.Sprintf("%s/%d", way.name, way.n), func(b *testing.B) {
			var bytes, busy float64
			late := time.Duration(1 << 62)
			for b.Loop() {
				r := &retries{n: way.n, event: revoked("e", "because"), finished: make(chan struct{})}
				// All are pending before the first is due.
				r.first = time.Now().Add(15 * time.Second)
				r.every = every
				before := held()
				way.pend(b, r)
				bytes += float64(held()-before)/float64(way.n) - float64(unsafe.Sizeof(queue.Job{}))
				require.Less(b, time.Now(), r.first, "the machine is too busy: retries were due before all were pending")
				began := cpu(b)
				<-r.finished
				busy += float64(cpu(b)-began) / float64(way.n)
				late = min(late, time.Duration(r.latest.Load()))
				r.close()
			}
			b.ReportMetric(bytes/float64(b.N), "B/pending")
			b.ReportMetric(busy/float64(b.N)/1000, "cpu-µs/retry")
			b.ReportMetric(float64(late)/1e6, "ms-late")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// retries is a run of one way to keep retries.
type retries struct {
	n        int
	event    event.Event
	first    time.Time // when the first is due
	every    time.Duration
	ran      atomic.Int64
	latest   atomic.Int64 // nanoseconds
	finished chan struct{}
	close    func()
}

func (r *retries) due(i int64) time.Time { return r.first.Add(time.Duration(i) * r.every) }

// run is the retry itself.
func (r *retries) run(due time.Time) {
	if late := int64(time.Since(due)); late > r.latest.Load() {
		r.latest.Store(late)
	}
	if r.ran.Add(1) == int64(r.n) {
		close(r.finished)
	}
}

func memoryRetries(b *testing.B, r *retries) {
	m := New(Options{IDWindow: 1})
	m.Bound("a", queue.Bound{Jobs: r.n})
	l, err := m.Open("a", queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 {
			began := time.Now()
			return queue.Disposition{Action: queue.Retry, Began: began, Delay: r.due(j.Generation - 1).Sub(began)}
		}
		r.run(j.NotBefore)
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(b, err)
	for i := range r.n {
		// Redeliveries of one event: its own memory is not what is measured.
		require.NoError(b, m.Enqueue(b.Context(), queue.Job{Event: r.event, Lane: "a", Generation: int64(i + 1)}))
	}
	require.NoError(b, l.Drain(b.Context(), time.Time{}))
	r.close = func() { require.NoError(b, l.Stop(b.Context())) }
}

func afterFuncRetries(_ *testing.B, r *retries) {
	jobs := make([]queue.Job, r.n)
	for i := range jobs {
		due := r.due(int64(i))
		time.AfterFunc(time.Until(due), func() { r.run(due) })
	}
	r.close = func() { runtime.KeepAlive(jobs) }
}

func goroutineRetries(_ *testing.B, r *retries) {
	jobs := make([]queue.Job, r.n)
	for i := range jobs {
		due := r.due(int64(i))
		go func() {
			<-time.After(time.Until(due))
			r.run(due)
		}()
	}
	r.close = func() { runtime.KeepAlive(jobs) }
}

// BenchmarkFanout gives each event to ten lanes that do nothing with it. Beside it, what no queue in Go can beat: ten
// buffered channels with a goroutine each. x-floor is the ratio of their processor times in this run.
func BenchmarkFanout(b *testing.B) {
	const lanes, burst = 10, 512
	events := make([]event.Event, 1<<17) // twice the id window: each is new again when its turn comes round
	for i := range events {
		events[i] = revoked(fmt.Sprintf("event-%d", i), "because")
	}
	run := func(b *testing.B, pending *sync.WaitGroup, give func(event.Event)) float64 {
		b.ReportAllocs()
		b.ResetTimer()
		began, wall := cpu(b), time.Now()
		for i := range b.N {
			if i%burst == 0 {
				pending.Wait()
				pending.Add(lanes * min(burst, b.N-i))
			}
			give(events[i%len(events)])
		}
		pending.Wait()
		each := float64(cpu(b)-began) / float64(b.N) / lanes
		b.ReportMetric(each, "cpu-ns/delivery")
		b.ReportMetric(float64(b.N)*lanes/time.Since(wall).Seconds(), "deliveries/s")
		return each
	}
	var floor float64 // of the last, longest run
	b.Run("floor=chan10", func(b *testing.B) {
		var pending, ended sync.WaitGroup
		var channels [lanes]chan event.Event
		for i := range channels {
			c := make(chan event.Event, 2*burst)
			channels[i] = c
			ended.Go(func() {
				for range c {
					pending.Done()
				}
			})
		}
		floor = run(b, &pending, func(e event.Event) {
			for _, c := range channels {
				c <- e
			}
		})
		for _, c := range channels {
			close(c)
		}
		ended.Wait()
	})
	b.Run("memory", func(b *testing.B) {
		var pending sync.WaitGroup
		m := New(Options{})
		var open [lanes]queue.Lane
		var jobs [lanes]queue.Job
		for i := range open {
			jobs[i].Lane = fmt.Sprint(i)
			l, err := m.Open(jobs[i].Lane, queue.LaneOptions{Limit: 4}, func(context.Context, queue.Job) queue.Disposition {
				pending.Done()
				return queue.Disposition{}
			})
			require.NoError(b, err)
			open[i] = l
		}
		each := run(b, &pending, func(e event.Event) {
			for i := range jobs {
				jobs[i].Event = e
			}
			if err := m.Enqueue(b.Context(), jobs[:]...); err != nil {
				b.Error(err)
			}
		})
		if floor > 0 {
			b.ReportMetric(each/floor, "x-floor")
		}
		for _, l := range open {
			require.NoError(b, l.Stop(b.Context()))
		}
	})
}
