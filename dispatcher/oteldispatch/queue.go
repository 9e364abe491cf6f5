package oteldispatch

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
)

// Queue returns q with traces and metrics around its jobs, for dispatcher.Config; nil = in memory, as there. It keeps
// q's promises; jobs that q holds from before, or gives to an Engine without this wrapper, are delivered as before.
// Whatever else q offers, such as closing, is done with q itself.
func (t *Telemetry) Queue(q queue.Queue) queue.Queue {
	if q == nil {
		q = memoryqueue.New(memoryqueue.Options{})
	}
	return &traced{Queue: q, telemetry: t}
}

// traced is a queue whose jobs carry trace context.
type traced struct {
	queue.Queue

	telemetry *Telemetry
}

// Enqueue implements queue.Queue.
func (q *traced) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if len(jobs) == 0 {
		return q.Queue.Enqueue(ctx)
	}
	return q.telemetry.send(ctx, dispatch, jobs, func(ctx context.Context, jobs []queue.Job) error {
		return q.Queue.Enqueue(ctx, jobs...)
	})
}

// Open implements queue.Queue.
func (q *traced) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	route := channel.ParseRouteID(lane)
	about := []attribute.KeyValue{
		semconv.MessagingSystemKey.String(system),
		semconv.MessagingOperationName(deliver),
		semconv.MessagingOperationTypeProcess,
	}
	p := &processor{telemetry: q.telemetry, lane: lane, handler: h, span: deliver + " " + route.Name, options: []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(q.telemetry.addRoute(about, route)...),
	}}
	return q.Queue.Open(lane, o, p.handle)
}

// Schedule implements queue.Queue.
func (q *traced) Schedule(ctx context.Context, key string, j queue.Job) error {
	return q.telemetry.send(ctx, schedule, []queue.Job{j}, func(ctx context.Context, jobs []queue.Job) error {
		return q.Queue.Schedule(ctx, key, jobs[0])
	})
}

// send hands jobs to the queue within a producer span, whose context goes with each of them.
func (t *Telemetry) send(
	ctx context.Context, operation string, jobs []queue.Job, hand func(context.Context, []queue.Job) error,
) error {
	began := time.Now()
	name, about := t.sendAttributes(operation, jobs)
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(about...))
	defer span.End()
	err := hand(ctx, t.carry(ctx, jobs))
	if failure := queueError(err); failure != "" {
		fail(span, failure)
	}
	t.meters.sent(ctx, operation, jobs, err, time.Since(began))
	return err
}

// sendAttributes describes what all jobs have in common.
func (t *Telemetry) sendAttributes(operation string, jobs []queue.Job) (name string, about []attribute.KeyValue) {
	name = operation
	about = make([]attribute.KeyValue, 0, 9)
	about = append(about, semconv.MessagingSystemKey.String(system),
		semconv.MessagingOperationName(operation), semconv.MessagingOperationTypeSend)
	first := &jobs[0]
	if !slices.ContainsFunc(jobs, func(j queue.Job) bool { return j.Lane != first.Lane }) {
		route := channel.ParseRouteID(first.Lane)
		name += " " + route.Name
		about = t.addRoute(about, route)
	}
	if !slices.ContainsFunc(jobs, func(j queue.Job) bool { return j.Event.ID() != first.Event.ID() }) {
		about = append(about, keyEventType.String(string(first.Event.Type())), keyEventID.String(first.Event.ID()))
		if t.tenants && first.Event.Tenant() != "" {
			about = append(about, keyTenant.String(first.Event.Tenant()))
		}
	}
	if len(jobs) > 1 {
		return name, append(about, semconv.MessagingBatchMessageCount(len(jobs)))
	}
	return name, append(about, semconv.MessagingMessageID(queue.Job{Event: first.Event, Lane: first.Lane}.ID()))
}

// addRoute adds the attributes of a route.
func (t *Telemetry) addRoute(about []attribute.KeyValue, route channel.RouteID) []attribute.KeyValue {
	about = append(about, semconv.MessagingDestinationName(route.Name))
	if t.tenants && route.Tenant != "" {
		about = append(about, keyRouteTenant.String(route.Tenant))
	}
	return about
}

// carry returns jobs with the trace context of ctx in their headers: copies, because they are the caller's. A context
// that a job has already is not replaced.
func (t *Telemetry) carry(ctx context.Context, jobs []queue.Job) []queue.Job {
	carrier := propagation.MapCarrier{}
	t.propagator.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return jobs
	}
	jobs = slices.Clone(jobs)
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.Headers == nil:
			j.Headers = carrier // one map for all: nobody modifies it
		case !t.carries(j.Headers):
			own := j.Headers
			j.Headers = maps.Clone(map[string]string(carrier))
			maps.Copy(j.Headers, own)
		}
	}
	return jobs
}

func (t *Telemetry) carries(headers map[string]string) bool {
	return slices.ContainsFunc(t.propagator.Fields(), func(field string) bool {
		_, there := headers[field]
		return there
	})
}

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
			recordDisposition(span, out)
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
		semconv.MessagingMessageID(queue.Job{Event: j.Event, Lane: p.lane}.ID()),
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

// recordDisposition says on the span what becomes of the job.
func recordDisposition(span trace.Span, out queue.Disposition) {
	switch out.Action {
	case queue.Done:
		span.SetAttributes(keyAction.String("done"))
	case queue.Retry:
		span.SetAttributes(keyAction.String("retry"))
	case queue.Postpone:
		span.SetAttributes(keyAction.String("postpone"))
	case queue.Dead:
		span.SetAttributes(keyAction.String("dead"))
		if out.Began.IsZero() {
			fail(span, typeUntried)
		}
	}
	if out.Delay > 0 {
		span.SetAttributes(keyRetryDelay.Float64(out.Delay.Seconds()))
	}
}

// fail marks the span with an error.type. The error's own text is not exported: it is a third party's.
func fail(span trace.Span, failure string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(failure))
	span.SetStatus(codes.Error, failure)
}
