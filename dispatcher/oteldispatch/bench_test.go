package oteldispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/event"
)

const (
	benchRoutes   = 10
	benchEvents   = 10_000
	benchInFlight = 512 // events a producer may be ahead
)

// fanOut gives events to ten channels that do nothing; o == nil is without telemetry. It returns CPU time and
// allocations.
func fanOut(b *testing.B, o *oteldispatch.Config, all []event.Event) (used time.Duration, allocations uint64) {
	b.Helper()
	var left sync.WaitGroup
	left.Add(len(all) * benchRoutes)
	window := make(chan struct{}, benchInFlight)
	c := dispatcher.Config{Logger: slog.New(slog.DiscardHandler)}
	for i := range benchRoutes {
		c.Routes = append(c.Routes, dispatcher.Route{Name: fmt.Sprint("route-", i), Timeout: -1,
			Channel: channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
				if i == 0 {
					<-window
				}
				left.Done()
				return channel.Receipt{}, nil
			})})
	}
	if o != nil {
		telemetry, err := oteldispatch.New(*o)
		require.NoError(b, err)
		c.Queue, c.Observers = telemetry.Queue(nil), []dispatcher.Observer{telemetry.Observer()}
	}
	engine, err := dispatcher.New(c)
	require.NoError(b, err)
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(context.Background()) })
	defer running.Wait()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := cpu()
	for _, e := range all {
		window <- struct{}{}
		require.NoError(b, engine.Dispatch(context.Background(), e))
	}
	left.Wait()
	require.NoError(b, engine.Shutdown(context.Background()))
	used = cpu() - began
	runtime.ReadMemStats(&after)
	return used, after.Mallocs - before.Mallocs
}

// BenchmarkFanOut is what telemetry costs per delivery, beside an Engine without it in the same run. The exporters
// throw everything away.
func BenchmarkFanOut(b *testing.B) {
	metrics := func() *sdkmetric.MeterProvider {
		return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}
	spans := func(s sdktrace.Sampler) *sdktrace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSyncer(tracetest.NewNoopExporter()))
	}
	for _, c := range []struct {
		name string
		o    oteldispatch.Config
	}{
		{"no-providers", oteldispatch.Config{}},
		{"metrics", oteldispatch.Config{MeterProvider: metrics()}},
		{"not-sampled", oteldispatch.Config{TracerProvider: spans(sdktrace.NeverSample())}},
		{"sampled", oteldispatch.Config{TracerProvider: spans(sdktrace.AlwaysSample())}},
		{"metrics-and-1-percent", oteldispatch.Config{
			MeterProvider: metrics(), TracerProvider: spans(sdktrace.TraceIDRatioBased(0.01)),
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			all := make([]event.Event, benchEvents)
			for i := range all {
				all[i] = request(fmt.Sprint("e-", i), "")
			}
			var without, with time.Duration
			var fewer, more uint64
			rounds := 0
			for b.Loop() {
				rounds++
				used, n := fanOut(b, nil, all)
				without, fewer = without+used, fewer+n
				used, n = fanOut(b, &c.o, all)
				with, more = with+used, more+n
			}
			deliveries := float64(rounds * benchEvents * benchRoutes)
			b.ReportMetric(float64(without.Nanoseconds())/deliveries, "cpu-ns/delivery-without")
			b.ReportMetric(float64(with.Nanoseconds())/deliveries, "cpu-ns/delivery")
			b.ReportMetric(float64(fewer)/deliveries, "allocs/delivery-without")
			b.ReportMetric(float64(more)/deliveries, "allocs/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}
