package oteldispatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// meters are the instruments that are told of each call.
type meters struct {
	tenants    bool
	series     *series
	operation  metric.Float64Histogram
	messages   metric.Int64Counter
	consumed   metric.Int64Counter
	processed  metric.Float64Histogram
	dispatched metric.Int64Counter
	unrouted   metric.Int64Counter
	settled    metric.Int64Counter
}

func newMeters(m metric.Meter, tenants bool) (meters, error) {
	// What the conventions advise for both durations.
	seconds := metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
	operation, err1 := messagingconv.NewClientOperationDuration(m, seconds)
	messages, err2 := messagingconv.NewClientSentMessages(m)
	consumed, err3 := messagingconv.NewClientConsumedMessages(m)
	processed, err4 := messagingconv.NewProcessDuration(m, seconds)
	dispatched, err5 := m.Int64Counter("tocsin.dispatched", metric.WithUnit("{event}"),
		metric.WithDescription("Number of events accepted for at least one route."))
	unrouted, err6 := m.Int64Counter("tocsin.unrouted", metric.WithUnit("{event}"),
		metric.WithDescription("Number of events that no route wanted."))
	settled, err7 := m.Int64Counter("tocsin.settled", metric.WithUnit("{delivery}"),
		metric.WithDescription("Number of deliveries that ended."))
	return meters{
		tenants:    tenants,
		series:     new(series),
		operation:  operation.Inst(),
		messages:   messages.Inst(),
		consumed:   consumed.Inst(),
		processed:  processed.Inst(),
		dispatched: dispatched,
		unrouted:   unrouted,
		settled:    settled,
	}, errors.Join(err1, err2, err3, err4, err5, err6, err7)
}

// about begins the facts of what concerns an event.
func (s *meters) about(e event.Event) facts {
	f := facts{eventType: string(e.Type())}
	if s.tenants {
		f.tenant = e.Tenant()
	}
	return f
}

// sent is told of jobs that were handed to the queue, or that it refused.
func (s *meters) sent(ctx context.Context, operation string, jobs []queue.Job, err error, took time.Duration) {
	failure := queueError(err)
	if s.operation.Enabled(ctx) {
		f := facts{operation: operation, operationType: "send", failure: failure}
		s.operation.Record(ctx, took.Seconds(), s.series.of(f).record...)
	}
	if !s.messages.Enabled(ctx) {
		return
	}
	full, partly := errors.AsType[*queue.BacklogError](err)
	for i := range jobs {
		j := &jobs[i]
		f := s.about(j.Event)
		f.operation, f.route, f.failure = operation, j.Route, failure
		if partly && !slices.Contains(full.Lanes, j.Route) { // which got its job
			f.failure = ""
		}
		s.messages.Add(ctx, 1, s.series.of(f).add...)
	}
}

// attempted is told of an attempt, and its error.type.
func (s *meters) attempted(a *dispatcher.Attempt, failure string) {
	f := s.about(a.Delivery.Event)
	f.operation, f.route, f.failure = deliver, a.Delivery.Route, failure
	if s.consumed.Enabled(a.Context) {
		s.consumed.Add(a.Context, 1, s.series.of(f).add...)
	}
	if s.processed.Enabled(a.Context) {
		f.operationType, f.verdict = "process", a.Verdict.String()
		s.processed.Record(a.Context, a.Duration.Seconds(), s.series.of(f).record...)
	}
}

// count adds one to c, unless nobody collects it.
func (s *meters) count(c metric.Int64Counter, f facts) {
	if ctx := context.Background(); c.Enabled(ctx) {
		c.Add(ctx, 1, s.series.of(f).add...)
	}
}
