package oteldispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// stored is what a durable queue keeps of a job, as bytes.
type stored struct {
	Event   json.RawMessage
	Route   string
	Headers map[string]string
	Attempt int
}

// TestTraceGoesOnAfterARestart: the first process dispatches and makes a failing attempt; the jobs go through bytes
// into another queue, where a second process, with providers of its own, delivers them.
func TestTraceGoesOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down channeltest.Recorder
		down.Script(channeltest.Fail(errDown))
		first := memoryqueue.New(memoryqueue.Options{})
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Queue: first, Routes: []dispatcher.Route{
			{Name: "audit", Channel: &down, Retry: retry.Fixed{Interval: time.Hour}},
			{Name: "desk", Channel: &down, State: dispatcher.Paused},
		}})
		b.dispatch(request("e-1", ""))
		advance(time.Minute)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var left *dispatcher.ShutdownError
		require.ErrorAs(t, b.Shutdown(ctx), &left)
		var saved []byte
		for _, lane := range []string{"audit", "desk"} {
			for _, j := range take(t, first, lane, 1) {
				line, err := json.Marshal(stored{j.Event.JSON(), j.Lane, j.Headers, j.Attempt})
				require.NoError(t, err)
				saved = append(append(saved, line...), '\n')
			}
		}
		assert.NotContains(t, string(saved), secretMark)

		second := memoryqueue.New(memoryqueue.Options{})
		enqueueStored(t, second, saved)
		var rec channeltest.Recorder
		after := setup(t, oteldispatch.Config{}, dispatcher.Config{Queue: second, Routes: []dispatcher.Route{
			{Name: "audit", Channel: &rec}, {Name: "desk", Channel: &rec},
		}})
		advance(time.Minute)
		require.Len(t, rec.Deliveries(), 2)

		var dispatched tracetest.SpanStub
		for _, s := range b.spans.GetSpans() {
			if s.Name == "dispatch" {
				dispatched = s
			}
		}
		spans := after.spans.GetSpans()
		require.Len(t, spans, 2)
		for _, s := range spans {
			assert.Equal(t, dispatched.SpanContext.TraceID(), s.SpanContext.TraceID(), s.Name)
			assert.Equal(t, dispatched.SpanContext.SpanID(), s.Parent.SpanID(), s.Name)
			assert.True(t, s.Parent.IsRemote(), s.Name)
			require.Len(t, s.Links, 1, s.Name)
			assert.Equal(t, dispatched.SpanContext.SpanID(), s.Links[0].SpanContext.SpanID(), s.Name)
		}
	})
}

func enqueueStored(t *testing.T, q queue.Queue, saved []byte) {
	t.Helper()
	for line := range bytes.Lines(saved) {
		var s stored
		require.NoError(t, json.Unmarshal(line, &s))
		e, err := event.Parse(s.Event)
		require.NoError(t, err)
		require.NoError(t, q.Enqueue(context.Background(),
			queue.Job{Event: e, Lane: s.Route, Headers: s.Headers, Attempt: s.Attempt, Enqueued: time.Now()}))
	}
}

// TestSamplingIsDecidedOnce: a trace that is not sampled when it begins leaves no deliver span either, which a sampler
// that decided anew for each attempt would make.
func TestSamplingIsDecidedOnce(t *testing.T) {
	for name, sampled := range map[string]bool{"sampled": true, "not sampled": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				spans := tracetest.NewInMemoryExporter()
				sampler := sdktrace.NeverSample()
				if sampled {
					sampler = sdktrace.AlwaysSample()
				}
				product := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)).Tracer("product")
				telemetry, err := oteldispatch.New(oteldispatch.Config{TracerProvider: sdktrace.NewTracerProvider(
					sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))})
				require.NoError(t, err)
				var seen trace.SpanContext
				engine := run(t, dispatcher.Config{
					Queue: telemetry.Queue(nil), Observers: []dispatcher.Observer{telemetry.Observer()},
					Routes: []dispatcher.Route{{Name: "audit", Channel: channel.Func(
						func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
							seen = trace.SpanContextFromContext(ctx)
							return channel.Receipt{}, nil
						})}},
				})
				ctx, span := product.Start(context.Background(), "approve")
				require.NoError(t, engine.Dispatch(ctx, request("e-1", "")))
				advance(time.Minute)
				assert.Equal(t, span.SpanContext().TraceID(), seen.TraceID(), "the channel has the trace to pass on")
				assert.Equal(t, sampled, seen.IsSampled())
				want := 0
				if sampled {
					want = 2
				}
				assert.Len(t, spans.GetSpans(), want)
			})
		})
	}
}

// TestTraceContextIsCarriedWithoutATracer: a host that traces but wants no spans from here still has one trace.
func TestTraceContextIsCarriedWithoutATracer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		telemetry, err := oteldispatch.New(oteldispatch.Config{})
		require.NoError(t, err)
		var seen trace.SpanContext
		engine := run(t, dispatcher.Config{
			Queue: telemetry.Queue(nil),
			Routes: []dispatcher.Route{{Name: "audit", Channel: channel.Func(
				func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
					seen = trace.SpanContextFromContext(ctx)
					return channel.Receipt{}, nil
				})}},
		})
		ctx, span := sdktrace.NewTracerProvider().Tracer("product").Start(context.Background(), "approve")
		require.NoError(t, engine.Dispatch(ctx, request("e-1", "")))
		advance(time.Minute)
		assert.Equal(t, span.SpanContext().TraceID(), seen.TraceID())
		assert.Equal(t, span.SpanContext().SpanID(), seen.SpanID())
	})
}
