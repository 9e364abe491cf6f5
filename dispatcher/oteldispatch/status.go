package oteldispatch

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// status are the instruments that are asked.
type status struct {
	meter    metric.Meter
	queued   metric.Int64ObservableGauge
	inFlight metric.Int64ObservableGauge
	dead     metric.Int64ObservableGauge
	failing  metric.Float64ObservableGauge
}

func newStatus(m metric.Meter) (status, error) {
	s := status{meter: m}
	var errs [4]error
	s.queued, errs[0] = m.Int64ObservableGauge("tocsin.route.queued", metric.WithUnit("{delivery}"),
		metric.WithDescription("Number of deliveries that wait, retries included."))
	s.inFlight, errs[1] = m.Int64ObservableGauge("tocsin.route.in_flight", metric.WithUnit("{delivery}"),
		metric.WithDescription("Number of sends running now."))
	s.dead, errs[2] = m.Int64ObservableGauge("tocsin.route.dead_letters", metric.WithUnit("{delivery}"),
		metric.WithDescription("Number of dead letters kept."))
	s.failing, errs[3] = m.Float64ObservableGauge("tocsin.route.failing.duration", metric.WithUnit("s"),
		metric.WithDescription("Time since the first failed attempt after the last success; 0 when the route is not failing."))
	return s, errors.Join(errs[:]...)
}

// Watch reports the Engine's Status as gauges, each time metrics are collected, until Unregister of what it returns. An
// error is the MeterProvider's. The queue is asked within the collection's context; what it does not tell in that time
// is left out, and the collection reports why.
func (t *Telemetry) Watch(e *dispatcher.Engine) (metric.Registration, error) {
	s := &t.status
	return s.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		routes, err := e.Status(ctx)
		for _, route := range routes {
			s.observe(o, route, time.Now())
		}
		return err
	}, s.queued, s.inFlight, s.dead, s.failing)
}

func (s *status) observe(o metric.Observer, r dispatcher.RouteStatus, now time.Time) {
	route := metric.WithAttributes(semconv.MessagingDestinationName(r.Name))
	for _, count := range []struct {
		of metric.Int64ObservableGauge
		n  int
	}{{s.queued, r.Queued}, {s.inFlight, r.InFlight}, {s.dead, r.DeadLetters}} {
		if count.n >= 0 { // else the queue cannot tell
			o.ObserveInt64(count.of, int64(count.n), route)
		}
	}
	failing := 0.0
	if !r.FailingSince.IsZero() {
		failing = max(now.Sub(r.FailingSince).Seconds(), 0)
	}
	o.ObserveFloat64(s.failing, failing, route)
}
