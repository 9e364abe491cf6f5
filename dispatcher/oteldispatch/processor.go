package oteldispatch

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// processor runs the jobs of a lane, each within a consumer span.
type processor struct {
	telemetry *Telemetry
	lane      string
	handler   queue.Handler
	span      string                  // its name
	options   []trace.SpanStartOption // what all its spans have
}

// handle is the lane's queue.Handler.
func (p *processor) handle(ctx context.Context, j queue.Job) (out queue.Disposition) {
	t, options := p.telemetry, p.options
	if len(j.Headers) > 0 {
		ctx = t.propagator.Extract(ctx, propagation.MapCarrier(j.Headers))
		if creation := trace.SpanContextFromContext(ctx); creation.IsValid() {
			options = append(options[:len(options):len(options)], trace.WithLinks(trace.Link{SpanContext: creation}))
		}
	}
	ctx, span := t.tracer.Start(ctx, p.span, options...)
	if !span.IsRecording() {
		defer span.End()
		return p.handler(ctx, j)
	}
	p.describe(span, j)
	returned := false
	defer func() {
		if returned {
			settle(span, out)
		} else { // the queue tries again
			fail(span, typePanic)
		}
		span.End()
	}()
	out = p.handler(ctx, j)
	returned = true
	return out
}

// describe says on the span which job it is about.
func (p *processor) describe(span trace.Span, j queue.Job) {
	span.SetAttributes(
		semconv.MessagingMessageID(channel.Delivery{Event: j.Event, Route: p.lane}.ID()),
		keyEventType.String(string(j.Event.Type())),
		keyEventID.String(j.Event.ID()),
		keyAttempt.Int(j.Attempt+1),
	)
	if j.Generation != 0 {
		span.SetAttributes(keyRedelivery.Bool(true))
	}
	if p.telemetry.tenants && j.Event.Tenant() != "" {
		span.SetAttributes(keyTenant.String(j.Event.Tenant()))
	}
}

// settle says on the span what becomes of the job.
func settle(span trace.Span, out queue.Disposition) {
	switch out.Action {
	case queue.Done:
		span.SetAttributes(keyOutcome.String("done"))
	case queue.Retry:
		span.SetAttributes(keyOutcome.String("retry"))
	case queue.Postpone:
		span.SetAttributes(keyOutcome.String("postpone"))
	case queue.Dead:
		span.SetAttributes(keyOutcome.String("dead"))
		if out.Began.IsZero() {
			fail(span, typeUntried)
		}
	}
	if out.Delay > 0 {
		span.SetAttributes(keyRetryDelay.Float64(out.Delay.Seconds()))
	}
}

// fail marks the span with an error.type. The error's own text is not told: it is a third party's.
func fail(span trace.Span, failure string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(failure))
	span.SetStatus(codes.Error, failure)
}
