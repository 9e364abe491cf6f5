package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// smallNote is a small payload: what is measured is the way to the channel, not the event.
type smallNote struct {
	Text string `json:"text"`
}

func (smallNote) EventType() event.Type { return "bench.note" }

func benchEvents(n int) []event.Event {
	all := make([]event.Event, n)
	for i := range all {
		all[i] = event.Must(smallNote{"somebody asks for access"}, event.Meta{ID: fmt.Sprintf("e-%d", i)})
	}
	return all
}

const fanOutRoutes = 10

// inFlight bounds how far a producer may run ahead, in events, as any product's own pace would.
const inFlight = 512

// pace keeps a producer at most inFlight events ahead of the slowest route, whichever that is, at next to no cost: each
// route counts for itself and speaks up once in half a window.
type pace struct {
	routes [fanOutRoutes]struct {
		arrived atomic.Int64
		_       [56]byte // a cache line each
	}
	halves []sync.WaitGroup // each done when every route has got that half window
}

const halfWindow = inFlight / 2

// newPace is for a multiple of halfWindow events.
func newPace(events int) *pace {
	p := &pace{halves: make([]sync.WaitGroup, events/halfWindow)}
	for i := range p.halves {
		p.halves[i].Add(fanOutRoutes)
	}
	return p
}

// arrive counts a delivery of a route.
func (p *pace) arrive(route int) {
	if n := p.routes[route].arrived.Add(1); n%halfWindow == 0 {
		p.halves[n/halfWindow-1].Done()
	}
}

// hold waits until the producer may send its n-th event.
func (p *pace) hold(n int) {
	if half := n / halfWindow; n%halfWindow == 0 && half >= 2 {
		p.halves[half-2].Wait()
	}
}

// finish waits until all has arrived.
func (p *pace) finish() {
	for i := range p.halves {
		p.halves[i].Wait()
	}
}

// chan10 is the floor: one event to ten buffered Go channels with a consumer each.
func chan10(all []event.Event) {
	pace := newPace(len(all))
	var consumers sync.WaitGroup
	lanes := make([]chan event.Event, fanOutRoutes)
	for i := range lanes {
		lanes[i] = make(chan event.Event, inFlight)
		consumers.Go(func() {
			for range lanes[i] {
				pace.arrive(i)
			}
		})
	}
	for n, e := range all {
		pace.hold(n)
		for _, lane := range lanes {
			lane <- e
		}
	}
	for _, lane := range lanes {
		close(lane)
	}
	consumers.Wait()
}

// fanOut sends the same through an Engine with an observer.
func fanOut(b *testing.B, all []event.Event, route dispatcher.Route) {
	pace := newPace(len(all))
	var routes []dispatcher.Route
	for i := range fanOutRoutes {
		r := route
		r.Name = fmt.Sprint("route-", i)
		r.Channel = channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			pace.arrive(i)
			return channel.Receipt{}, nil
		})
		routes = append(routes, r)
	}
	var unsettled atomic.Int64
	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Observers: []dispatcher.Observer{{
		Settled: func(s dispatcher.Settlement) {
			if s.Outcome != dispatcher.Delivered {
				unsettled.Add(1)
			}
		},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- engine.Run(context.Background()) }()
	for n, e := range all {
		pace.hold(n)
		if err := engine.Dispatch(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	pace.finish()
	if err := engine.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
	<-done
	if n := unsettled.Load(); n > 0 {
		b.Fatalf("%d were not delivered", n)
	}
}

// BenchmarkFanOut gives one event to ten channels that do nothing, beside the floor, interleaved in one run. It reports
// CPU per delivery and the ratio to the floor's.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct {
		name  string
		route dispatcher.Route
	}{
		{"no-timeout/concurrency-1", dispatcher.Route{Timeout: -1, Concurrency: 1}},
		{"no-timeout/concurrency-4", dispatcher.Route{Timeout: -1}},
		{"default", dispatcher.Route{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			const batch = 200 * halfWindow
			all := benchEvents(batch)
			var floor, ours, wall time.Duration
			var mallocs uint64
			var before, after runtime.MemStats
			rounds := 0
			for b.Loop() {
				rounds++
				runtime.GC()
				t := cpu()
				chan10(all)
				floor += cpu() - t
				runtime.GC()
				runtime.ReadMemStats(&before)
				t = cpu()
				began := time.Now()
				fanOut(b, all, c.route)
				wall += time.Since(began)
				ours += cpu() - t
				runtime.ReadMemStats(&after)
				mallocs += after.Mallocs - before.Mallocs
			}
			deliveries := float64(rounds * batch * fanOutRoutes)
			b.ReportMetric(float64(floor.Nanoseconds())/deliveries, "floor-cpu-ns/delivery")
			b.ReportMetric(float64(ours.Nanoseconds())/deliveries, "cpu-ns/delivery")
			b.ReportMetric(float64(ours)/float64(floor), "x-floor")
			b.ReportMetric(deliveries/wall.Seconds(), "deliveries/s")
			b.ReportMetric(float64(mallocs)/float64(rounds*batch), "allocs/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// closedLoop dispatches all to ten routes of which some hang forever, at most inFlight events ahead of the slowest
// healthy route, and returns how long that took and how late the latest healthy delivery was.
func closedLoop(b *testing.B, all []event.Event, hanging int) (took, latest time.Duration) {
	b.Helper()
	window := make(chan struct{}, inFlight)
	var left sync.WaitGroup
	left.Add(len(all) * (fanOutRoutes - hanging))
	dispatched := make([]atomic.Int64, len(all))
	var worst atomic.Int64
	var routes []dispatcher.Route
	for i := range fanOutRoutes {
		c := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			n, _ := strconv.Atoi(d.Event.ID()[2:])
			late := time.Now().UnixNano() - dispatched[n].Load()
			for old := worst.Load(); late > old && !worst.CompareAndSwap(old, late); old = worst.Load() {
			}
			if i == fanOutRoutes-1 {
				<-window
			}
			left.Done()
			return channel.Receipt{}, nil
		})
		if i < hanging {
			c = func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
				<-ctx.Done()
				return channel.Receipt{}, ctx.Err()
			}
		}
		routes = append(routes, dispatcher.Route{Name: fmt.Sprint("route-", i), Channel: c, Timeout: -1})
	}
	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- engine.Run(ctx) }()
	began := time.Now()
	for i, e := range all {
		window <- struct{}{}
		dispatched[i].Store(time.Now().UnixNano())
		// The lanes that hang fill up and refuse; the others must not notice.
		if err := engine.Dispatch(ctx, e); err != nil && !isBacklog(err) {
			b.Fatal(err)
		}
	}
	left.Wait()
	took = time.Since(began)
	stop()
	<-done
	return took, time.Duration(worst.Load())
}

func isBacklog(err error) bool {
	_, full := errors.AsType[*dispatcher.BacklogError](err)
	return full
}

// BenchmarkIsolation compares the healthy routes' closed-loop throughput per route with and without routes that hang
// forever, interleaved in one run.
func BenchmarkIsolation(b *testing.B) {
	for _, hanging := range []int{1, 5, 9} {
		b.Run(fmt.Sprintf("hanging=%d", hanging), func(b *testing.B) {
			all := benchEvents(30_000)
			var healthy, beside, late, lateBeside time.Duration
			goroutines := runtime.NumGoroutine()
			for b.Loop() {
				t, worst := closedLoop(b, all, 0)
				healthy, late = healthy+t, max(late, worst)
				t, worst = closedLoop(b, all, hanging)
				beside, lateBeside = beside+t, max(lateBeside, worst)
			}
			b.ReportMetric(100*float64(healthy)/float64(beside), "%-of-throughput")
			b.ReportMetric(float64(late.Microseconds())/1000, "ms-latest-without")
			b.ReportMetric(float64(lateBeside.Microseconds())/1000, "ms-latest-beside")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines-left")
			b.ReportMetric(0, "ns/op")
		})
	}
}
