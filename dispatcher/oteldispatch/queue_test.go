package oteldispatch_test

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

// silent writes no trace context, so that jobs can be compared to the letter.
type silent struct{ propagation.TraceContext }

func (silent) Inject(context.Context, propagation.TextMapCarrier) {}

// TestWrappedQueueConforms holds a queue with spans and metrics around each call to the rules of every queue.
func TestWrappedQueueConforms(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Suite{
		New: func(t *testing.T) queue.Queue {
			telemetry, err := oteldispatch.New(oteldispatch.Config{
				TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewNoopExporter())),
				MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
				Propagator:     silent{},
			})
			require.NoError(t, err)
			return telemetry.Queue(memoryqueue.New(memoryqueue.Options{}))
		},
		Slack:  time.Nanosecond,
		Bubble: synctest.Test,
	})
}

// TestWrappedQueueHasTheSameProperties goes through every combination of what a queue may not support.
func TestWrappedQueueHasTheSameProperties(t *testing.T) {
	t.Parallel()
	telemetry, err := oteldispatch.New(oteldispatch.Config{})
	require.NoError(t, err)
	for i := range 8 {
		p := queue.Properties{Bounded: i&1 != 0, Scheduling: i&2 != 0, Inspection: i&4 != 0}
		assert.Equal(t, p, telemetry.Queue(declaring{memoryqueue.New(memoryqueue.Options{}), p}).Properties())
	}
}

// declaring is a queue that declares given properties.
type declaring struct {
	queue.Queue

	properties queue.Properties
}

func (d declaring) Properties() queue.Properties { return d.properties }

// TestWrappedQueueHidesNothing fails when the queue in memory gets a method that the wrapper does not pass on.
func TestWrappedQueueHidesNothing(t *testing.T) {
	t.Parallel()
	telemetry, err := oteldispatch.New(oteldispatch.Config{})
	require.NoError(t, err)
	m := memoryqueue.New(memoryqueue.Options{})
	wrapped := reflect.TypeOf(telemetry.Queue(m))
	for method := range reflect.TypeOf(m).Methods() {
		_, there := wrapped.MethodByName(method.Name)
		assert.True(t, there, method.Name)
	}
}

// take returns what the queue, without a wrapper, has stored in a lane.
func take(t *testing.T, q queue.Queue, lane string, n int) []queue.Job {
	t.Helper()
	jobs := make(chan queue.Job, n)
	l, err := q.Open(lane, queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
		jobs <- j
		return queue.Disposition{}
	})
	require.NoError(t, err)
	all := make([]queue.Job, n)
	for i := range all {
		all[i] = <-jobs
	}
	require.NoError(t, l.Stop(context.Background()))
	return all
}

// TestHeadersOfOthersAreKept: the jobs handed over are not changed, and a job that has a trace context keeps it.
func TestHeadersOfOthersAreKept(t *testing.T) {
	t.Parallel()
	telemetry, err := oteldispatch.New(oteldispatch.Config{TracerProvider: sdktrace.NewTracerProvider()})
	require.NoError(t, err)
	inner := memoryqueue.New(memoryqueue.Options{})
	const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	jobs := []queue.Job{
		{Event: request("e-0", ""), Lane: "r"},
		{Event: request("e-1", ""), Lane: "r", Headers: map[string]string{"mine": "1"}},
		{Event: request("e-2", ""), Lane: "r", Headers: map[string]string{"traceparent": theirs}},
	}
	state, err := trace.ParseTraceState("vendor=1")
	require.NoError(t, err)
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
	}))
	require.NoError(t, telemetry.Queue(inner).Enqueue(ctx, jobs...))
	assert.Nil(t, jobs[0].Headers)
	assert.Equal(t, map[string]string{"mine": "1"}, jobs[1].Headers)

	stored := take(t, inner, "r", 3)
	parent := stored[0].Headers["traceparent"]
	assert.Regexp(t, "^00-01[0]{30}-[0-9a-f]{16}-01$", parent)
	assert.Equal(t, map[string]string{"traceparent": parent, "tracestate": "vendor=1"}, stored[0].Headers)
	assert.Equal(t, map[string]string{"traceparent": parent, "tracestate": "vendor=1", "mine": "1"}, stored[1].Headers)
	assert.Equal(t, map[string]string{"traceparent": theirs}, stored[2].Headers)
}

// TestJobsWithoutTraceContextAreDelivered: those stored before telemetry was used, or with headers damaged since.
func TestJobsWithoutTraceContextAreDelivered(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"none":    nil,
		"foreign": {"mine": "1"},
		"damaged": {"traceparent": "00-zz-ü\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inner := memoryqueue.New(memoryqueue.Options{})
				require.NoError(t, inner.Enqueue(context.Background(),
					queue.Job{Event: request("e-1", ""), Lane: "audit", Headers: headers}))
				var rec channeltest.Recorder
				b := setup(t, oteldispatch.Config{}, dispatcher.Config{
					Queue: inner, Routes: []dispatcher.Route{{Name: "audit", Channel: &rec}},
				})
				advance(time.Minute)
				assert.Len(t, rec.Deliveries(), 1)
				spans := b.spans.GetSpans()
				require.Len(t, spans, 1)
				assert.False(t, spans[0].Parent.IsValid(), "a trace of its own")
				assert.Empty(t, spans[0].Links)
			})
		})
	}
}

// TestPanicOfAHandlerEndsItsSpan: a handler that is not an Engine's may panic, or leave by Goexit; the queue counts
// both as a retry.
func TestPanicOfAHandlerEndsItsSpan(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic(payloadMark) }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				spans := tracetest.NewInMemoryExporter()
				telemetry, err := oteldispatch.New(oteldispatch.Config{
					TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
				})
				require.NoError(t, err)
				q := telemetry.Queue(nil)
				var once sync.Once
				l, err := q.Open("r", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition {
					once.Do(leave)
					return queue.Disposition{}
				})
				require.NoError(t, err)
				require.NoError(t, q.Enqueue(context.Background(), queue.Job{Event: request("e-1", ""), Lane: "r"}))
				advance(time.Minute)
				require.NoError(t, l.Stop(context.Background()))
				var statuses []sdktrace.Status
				for _, s := range spans.GetSpans() {
					if s.Name == "deliver r" {
						statuses = append(statuses, s.Status)
					}
				}
				require.Len(t, statuses, 2)
				assert.Equal(t, "panic", statuses[0].Description)
				assert.Empty(t, statuses[1])
			})
		})
	}
}
