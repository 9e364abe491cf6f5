package oteldispatch_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/event"
)

func Example() {
	// The host's own providers; in place of these exporters, those for its collector.
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	defer tracers.Shutdown(context.Background())
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))

	telemetry, err := oteldispatch.New(oteldispatch.Config{TracerProvider: tracers, MeterProvider: meters})
	if err != nil {
		fmt.Println(err)
		return
	}
	delivered := make(chan struct{})
	engine, err := dispatcher.New(dispatcher.Config{
		Queue:     telemetry.Queue(nil), // in memory; or a durable one
		Observers: []dispatcher.Observer{telemetry.Observer()},
		Routes: []dispatcher.Route{{Name: "audit", Channel: channel.Func(
			func(context.Context, channel.Delivery) (channel.Receipt, error) {
				defer close(delivered)
				return channel.Receipt{Status: 200}, nil
			})}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	watch, err := telemetry.Watch(engine)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watch.Unregister()
	done := make(chan error)
	go func() { done <- engine.Run(context.Background()) }()

	ctx, span := tracers.Tracer("product").Start(context.Background(), "approve request")
	request := event.RequestApproved{AccessRequest: event.AccessRequest{ID: "4f1c", FriendlyID: "AR-2047"}}
	err = engine.Dispatch(ctx, event.Must(request, event.Meta{}))
	span.End()
	fmt.Println(err)

	<-delivered
	fmt.Println(engine.Shutdown(context.Background()), <-done)
	tracers.ForceFlush(context.Background())
	for _, s := range spans.GetSpans() {
		fmt.Println(s.SpanKind, s.Name, s.SpanContext.TraceID() == span.SpanContext().TraceID())
	}
	// Unordered output:
	// <nil>
	// <nil> <nil>
	// internal approve request true
	// producer dispatch audit true
	// consumer deliver audit true
}
