//go:build unix

package natsqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
	"github.com/tocsin-go/tocsin/event"
)

// kibibyte is an event whose JSON has about 1 KiB.
func kibibyte(n int) event.Event {
	return event.Must(event.GrantRevoked{Reason: strings.Repeat("because ", 100)}, event.Meta{
		ID: fmt.Sprintf("event-%d-%d", time.Now().UnixNano(), n), Tenant: "tenant", Subject: "subject",
	})
}

const (
	benchProducers = 64 // at a time, each waiting for its confirmation
	benchLimit     = 64 // of a lane; for the floor, of unacknowledged messages
)

// BenchmarkDelivery stores events for a number of lanes, one call each, while as many consumers run and acknowledge
// them. The floor does it by hand: an event's JSON with a message id, published to each lane's subject and confirmed;
// consumed, read, acknowledged. An operation is one delivery.
func BenchmarkDelivery(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, fanOut := range []int{1, 10} {
			name := fmt.Sprintf("nodes=%d/fan-out=%d", nodes, fanOut)
			b.Run(name+"/floor", func(b *testing.B) { benchFloor(b, nodes, fanOut, fanOut) })
			b.Run(name+"/queue", func(b *testing.B) { benchQueue(b, nodes, fanOut, fanOut) })
		}
	}
}

// BenchmarkLanes is the same, one event to one of many lanes at a time.
func BenchmarkLanes(b *testing.B) {
	for _, lanes := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d/floor", lanes), func(b *testing.B) { benchFloor(b, 1, lanes, 1) })
		b.Run(fmt.Sprintf("%d/queue", lanes), func(b *testing.B) { benchQueue(b, 1, lanes, 1) })
	}
}

// produce calls store for n/fanOut events from all producers, with the lanes each is for, and waits until done
// deliveries have been counted.
func produce(b *testing.B, lanes, fanOut int, done *atomic.Int64, store func(e event.Event, lanes []int)) {
	b.Helper()
	events := (b.N + fanOut - 1) / fanOut
	var next atomic.Int64
	b.ResetTimer()
	began := cpu(b)
	var wg sync.WaitGroup
	for range benchProducers {
		wg.Go(func() {
			to := make([]int, fanOut)
			for {
				n := int(next.Add(1))
				if n > events {
					return
				}
				for i := range to {
					to[i] = (n*fanOut + i) % lanes
				}
				store(kibibyte(n), to)
			}
		})
	}
	wg.Wait()
	for done.Load() < int64(events*fanOut) {
		<-time.After(100 * time.Microsecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64(cpu(b)-began)/float64(b.N)/1000, "cpu-µs/delivery")
}

func benchQueue(b *testing.B, nodes, lanes, fanOut int) {
	c := natstest.New(b, nodes)
	nc := natstest.Connect(b, c.URL())
	q, err := natsqueue.New(b.Context(), nc, natsqueue.Config{Replicas: nodes})
	require.NoError(b, err)
	b.Cleanup(q.Close)
	var done atomic.Int64
	names := make([]string, lanes)
	for i := range names {
		names[i] = fmt.Sprintf("lane %d", i)
		lane, err := q.Open(names[i], queue.LaneOptions{Limit: benchLimit}, func(context.Context, queue.Job) queue.Disposition {
			done.Add(1)
			return queue.Disposition{Action: queue.Done}
		})
		require.NoError(b, err)
		b.Cleanup(func() { _ = lane.Stop(context.Background()) })
	}
	produce(b, lanes, fanOut, &done, func(e event.Event, to []int) {
		jobs := make([]queue.Job, len(to))
		for i, lane := range to {
			jobs[i] = queue.Job{Event: e, Lane: names[lane], Enqueued: time.Now()}
		}
		if err := q.Enqueue(context.Background(), jobs...); err != nil {
			b.Error(err)
		}
	})
}

func benchFloor(b *testing.B, nodes, lanes, fanOut int) {
	c := natstest.New(b, nodes)
	nc := natstest.Connect(b, c.URL())
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(16<<10))
	require.NoError(b, err)
	b.Cleanup(js.CleanupPublisher)
	_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: "floor", Subjects: []string{"floor.>"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Replicas: nodes, Duplicates: 5 * time.Minute,
	})
	require.NoError(b, err)
	var done atomic.Int64
	for i := range lanes {
		consumer, err := js.CreateConsumer(b.Context(), "floor", jetstream.ConsumerConfig{
			Durable: fmt.Sprintf("c%d", i), FilterSubject: fmt.Sprintf("floor.%d", i), AckPolicy: jetstream.AckExplicitPolicy,
			MaxAckPending: benchLimit, MaxDeliver: -1,
		})
		require.NoError(b, err)
		handle := func(m jetstream.Msg) {
			if _, err := event.Parse(m.Data()); err != nil {
				b.Error(err)
			}
			if err := m.Ack(); err != nil {
				b.Error(err)
			}
			done.Add(1)
		}
		// As many handlers at a time as the limit says, as a loop that sends somewhere has to.
		consume, err := consumer.Consume(func(m jetstream.Msg) { go handle(m) })
		require.NoError(b, err)
		b.Cleanup(func() { consume.Stop(); <-consume.Closed() })
	}
	produce(b, lanes, fanOut, &done, func(e event.Event, to []int) {
		futures := make([]jetstream.PubAckFuture, len(to))
		for i, lane := range to {
			f, err := js.PublishMsgAsync(&nats.Msg{
				Subject: fmt.Sprintf("floor.%d", lane), Data: e.JSON(),
				Header: nats.Header{jetstream.MsgIDHeader: {fmt.Sprintf("%s/%d", e.ID(), lane)}},
			})
			if err != nil {
				b.Error(err)
				return
			}
			futures[i] = f
		}
		for _, f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				b.Error(err)
			}
		}
	})
}

// cpu is the processor time that the process, servers included, has used. On a busy machine it is steadier than the
// rate.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIdleLanes opens lanes and looks at what they cost while nothing happens: at the client and the servers
// together, which share this process.
func BenchmarkIdleLanes(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, lanes := range []int{1, 100, 1000} {
			if nodes == 3 && lanes > 100 {
				continue // 1000 Raft groups on three servers of one machine say more about the machine
			}
			b.Run(fmt.Sprintf("nodes=%d/%d", nodes, lanes), func(b *testing.B) {
				c := natstest.New(b, nodes)
				nc := natstest.Connect(b, c.URL())
				q, err := natsqueue.New(b.Context(), nc, natsqueue.Config{Replicas: nodes})
				require.NoError(b, err)
				b.Cleanup(q.Close)
				goroutines, began := runtime.NumGoroutine(), time.Now()
				for i := range lanes {
					lane, err := q.Open(fmt.Sprintf("lane %d", i), queue.LaneOptions{Limit: 4}, newLedger().handler(0))
					require.NoError(b, err)
					b.Cleanup(func() { _ = lane.Stop(context.Background()) })
				}
				b.ReportMetric(time.Since(began).Seconds(), "s-to-open")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(lanes), "goroutines/lane")
				const watched = 3 * time.Second
				busy := cpu(b)
				<-time.After(watched)
				b.ReportMetric(100*float64(cpu(b)-busy)/float64(watched), "cpu-%-idle")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkRestart has 100,000 jobs pending when a process starts: how long until the first one runs.
func BenchmarkRestart(b *testing.B) {
	const pending = 100_000
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			c := natstest.New(b, nodes)
			s := store(strconv.Itoa(nodes), "jobs", c.URL())
			q := openFor(b, s)
			for n := 0; n < pending; n += 500 {
				jobs := make([]queue.Job, 500)
				for i := range jobs {
					jobs[i] = jobFor("lane", strconv.Itoa(n+i))
				}
				require.NoError(b, q.Enqueue(b.Context(), jobs...))
			}
			for b.Loop() {
				first := make(chan struct{}, 1)
				lane, err := openFor(b, s).Open("lane", queue.LaneOptions{Limit: 4}, func(ctx context.Context, _ queue.Job) queue.Disposition {
					select {
					case first <- struct{}{}:
					default:
					}
					<-ctx.Done()
					return queue.Disposition{Action: queue.Postpone}
				})
				require.NoError(b, err)
				<-first
				b.StopTimer()
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				require.NoError(b, lane.Stop(ctx))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkBacklog works off a lane's backlog of 1 KiB events. An operation is one delivery.
func BenchmarkBacklog(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, limit := range []int{1, 4, benchLimit} {
			b.Run(fmt.Sprintf("nodes=%d/limit=%d", nodes, limit), func(b *testing.B) {
				c := natstest.New(b, nodes)
				q := openFor(b, store(strconv.Itoa(nodes), "jobs", c.URL()))
				for n := 0; n < b.N; n += 500 {
					jobs := make([]queue.Job, min(500, b.N-n))
					for i := range jobs {
						jobs[i] = queue.Job{Event: kibibyte(n + i), Lane: "lane", Enqueued: time.Now()}
					}
					require.NoError(b, q.Enqueue(b.Context(), jobs...))
				}
				var done atomic.Int64
				all := make(chan struct{})
				b.ResetTimer()
				began := cpu(b)
				lane, err := q.Open("lane", queue.LaneOptions{Limit: limit}, func(context.Context, queue.Job) queue.Disposition {
					if done.Add(1) == int64(b.N) {
						close(all)
					}
					return queue.Disposition{}
				})
				require.NoError(b, err)
				<-all
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
				b.ReportMetric(float64(cpu(b)-began)/float64(b.N)/1000, "cpu-µs/delivery")
				require.NoError(b, lane.Stop(context.Background()))
			})
		}
	}
}
