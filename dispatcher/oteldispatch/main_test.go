package oteldispatch_test

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	assert.NotContains(t, got, payloadMark)
	assert.NotContains(t, got, secretMark)
	assert.NotContains(t, got, "hooks.example")
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// bubble runs a test in which time passes only while everybody waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// advance lets time pass in a bubble, and everything happen that is due by then.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

const (
	payloadMark = "payload-must-not-leak"
	secretMark  = "secret-must-not-leak"
)

// request is an event of the product, with marks where data is that must not leak.
func request(id, tenant string) event.Event {
	return event.Must(event.RequestApproved{AccessRequest: event.AccessRequest{ID: payloadMark, FriendlyID: payloadMark}},
		event.Meta{ID: id, Tenant: tenant, Attributes: map[string]string{"external_key": payloadMark}})
}

// bundle is an Engine with telemetry into memory.
type bundle struct {
	*dispatcher.Engine
	*oteldispatch.Telemetry
	t       *testing.T
	began   time.Time
	spans   *tracetest.InMemoryExporter
	product trace.Tracer // the host's own
	metrics *sdkmetric.ManualReader
	queue   queue.Queue // without the wrapper
}

// setup makes an Engine that runs until the test ends. The providers are put into o, and the queue into c.
func setup(t *testing.T, o oteldispatch.Config, c dispatcher.Config) *bundle {
	t.Helper()
	b := &bundle{
		t: t, began: time.Now(),
		spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader(),
		queue: c.Queue,
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(b.spans))
	b.product = traces.Tracer("product")
	o.TracerProvider = traces
	o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.metrics))
	var err error
	b.Telemetry, err = oteldispatch.New(o)
	require.NoError(t, err)
	if b.queue == nil {
		b.queue = memoryqueue.New(memoryqueue.Options{})
	}
	c.Queue = b.Telemetry.Queue(b.queue)
	c.Observers = append(c.Observers, b.Observer())
	b.Engine = run(t, c)
	watch, err := b.Watch(b.Engine)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, watch.Unregister()) })
	return b
}

// run makes an Engine that runs until the test ends.
func run(t *testing.T, c dispatcher.Config) *dispatcher.Engine {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	engine, err := dispatcher.New(c)
	require.NoError(t, err)
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	running.Go(func() { _ = engine.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return engine
}

// dispatch does so within a span of the product.
func (b *bundle) dispatch(events ...event.Event) {
	b.t.Helper()
	ctx, span := b.product.Start(context.Background(), "approve")
	defer span.End()
	require.NoError(b.t, b.Dispatch(ctx, events...))
}
