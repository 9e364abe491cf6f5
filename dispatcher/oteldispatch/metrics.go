package oteldispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// meters are the instruments that record each call, and the counts by route.
type meters struct {
	tenants    bool
	series     *series
	routes     *routeSeries
	operation  metric.Float64Histogram
	processed  metric.Float64Histogram
	dispatched metric.Int64Counter
	unrouted   metric.Int64Counter
}

func newMeters(m metric.Meter, tenants bool) (meters, error) {
	// What the conventions advise for both durations.
	seconds := metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
	operation, err1 := messagingconv.NewClientOperationDuration(m, seconds)
	processed, err2 := messagingconv.NewProcessDuration(m, seconds)
	dispatched, err3 := m.Int64Counter("tocsin.dispatched", metric.WithUnit("{event}"),
		metric.WithDescription("Number of events accepted for at least one route."))
	unrouted, err4 := m.Int64Counter("tocsin.unrouted", metric.WithUnit("{event}"),
		metric.WithDescription("Number of events that no route wanted."))
	routes, err5 := newRouteSeries(m, tenants)
	return meters{
		tenants:    tenants,
		series:     new(series),
		routes:     routes,
		operation:  operation.Inst(),
		processed:  processed.Inst(),
		dispatched: dispatched,
		unrouted:   unrouted,
	}, errors.Join(err1, err2, err3, err4, err5)
}

// about begins the facts of what concerns an event.
func (s *meters) about(e event.Event) facts {
	f := facts{eventType: string(e.Type())}
	if s.tenants {
		f.tenant = e.Tenant()
	}
	return f
}

// ofRoute adds the facts of a route.
func (s *meters) ofRoute(f facts, route dispatcher.RouteID) facts {
	f.route = route.Name
	if s.tenants {
		f.routeTenant = route.Tenant
	}
	return f
}

// sent records jobs that were handed to the queue, or that it refused.
func (s *meters) sent(ctx context.Context, operation string, jobs []queue.Job, err error, took time.Duration) {
	failure := queueError(err)
	if s.operation.Enabled(ctx) {
		f := facts{operation: operation, operationType: "send", failure: failure}
		s.operation.Record(ctx, took.Seconds(), s.series.of(f).record...)
	}
	if operation == schedule { // into the one lane for what is scheduled, which is no route's
		s.routes.keep(channel.ParseRouteID(jobs[0].Lane))
	}
	full, partly := errors.AsType[*queue.BacklogError](err)
	for i := range jobs {
		j := &jobs[i]
		route := channel.ParseRouteID(j.Lane)
		f := s.ofRoute(s.about(j.Event), route)
		f.operation, f.failure = operation, failure
		if partly && !slices.Contains(full.Lanes, j.Lane) { // which got its job
			f.failure = ""
		}
		s.routes.count(route, sentMessages, f)
	}
}

// attempted records an attempt and its error.type.
func (s *meters) attempted(a *dispatcher.Attempt, failure string) {
	f := s.ofRoute(s.about(a.Delivery.Event), a.Delivery.Route)
	f.operation, f.failure = deliver, failure
	s.routes.count(a.Delivery.Route, consumedMessages, f)
	if s.processed.Enabled(a.Context) {
		f.operationType, f.verdict = "process", a.Verdict.String()
		s.processed.Record(a.Context, a.Duration.Seconds(), s.routes.options(a.Delivery.Route, f)...)
	}
}

// count adds one to c, unless nobody collects it.
func (s *meters) count(c metric.Int64Counter, f facts) {
	if ctx := context.Background(); c.Enabled(ctx) {
		c.Add(ctx, 1, s.series.of(f).add...)
	}
}

// Watch reports the Engine's Status as gauges, each time metrics are collected, until Unregister of what it returns. An
// error is the MeterProvider's. The queue is asked within the collection's context; what it does not answer in that
// time is left out, and the collection reports why.
func (t *Telemetry) Watch(e *dispatcher.Engine) (metric.Registration, error) {
	unit := metric.WithUnit("{delivery}")
	queued, err1 := t.meter.Int64ObservableGauge("tocsin.route.queued", unit,
		metric.WithDescription("Number of deliveries that wait, retries included."))
	inFlight, err2 := t.meter.Int64ObservableGauge("tocsin.route.in_flight", unit,
		metric.WithDescription("Number of sends running now."))
	dead, err3 := t.meter.Int64ObservableGauge("tocsin.route.dead_letters", unit,
		metric.WithDescription("Number of dead letters kept."))
	failing, err4 := t.meter.Float64ObservableGauge("tocsin.route.failing.duration", metric.WithUnit("s"),
		metric.WithDescription("Time since the first failed attempt after the last success; 0 when the route is not failing."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		routes, err := e.Status(ctx, dispatcher.StatusFilter{})
		for f, g := range t.meters.gauges(routes) {
			route := metric.WithAttributeSet(f.set())
			observe := func(gauge metric.Int64Observable, n int) {
				if n >= 0 { // else the queue cannot count
					o.ObserveInt64(gauge, int64(n), route)
				}
			}
			observe(queued, g.queued)
			observe(inFlight, g.inFlight)
			observe(dead, g.dead)
			o.ObserveFloat64(failing, g.failing.Seconds(), route)
		}
		return err
	}, queued, inFlight, dead, failing)
}

// gauges are what is observed of the routes that have the same attributes; -1 = it could not be counted.
type gauges struct {
	queued, inFlight, dead int
	failing                time.Duration // of the one that has been failing for longest
}

// gauges sums up routes by their attributes.
func (s *meters) gauges(routes []dispatcher.RouteStatus) map[facts]gauges {
	all := make(map[facts]gauges, len(routes))
	now := time.Now()
	for _, r := range routes {
		f := s.ofRoute(facts{}, r.Route)
		g := all[f]
		g.queued, g.inFlight, g.dead = sum(g.queued, r.Queued), sum(g.inFlight, r.InFlight), sum(g.dead, r.DeadLetters)
		if !r.FailingSince.IsZero() {
			g.failing = max(g.failing, now.Sub(r.FailingSince))
		}
		all[f] = g
	}
	return all
}

// sum adds numbers of which a negative one is not known.
func sum(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// facts are the attributes of a measurement; "" = absent.
type facts struct {
	operation     string
	operationType string
	route         string
	routeTenant   string
	eventType     string
	tenant        string
	verdict       string
	reason        string
	outcome       string
	failure       string
}

func (f facts) set() attribute.Set {
	all := make([]attribute.KeyValue, 0, 10)
	add := func(key attribute.Key, value string) {
		if value != "" {
			all = append(all, key.String(value))
		}
	}
	if f.operation != "" {
		add(semconv.MessagingSystemKey, system)
	}
	add(semconv.MessagingOperationNameKey, f.operation)
	add(semconv.MessagingOperationTypeKey, f.operationType)
	add(semconv.MessagingDestinationNameKey, f.route)
	add(keyRouteTenant, f.routeTenant)
	add(keyEventType, f.eventType)
	add(keyTenant, f.tenant)
	add(keyVerdict, f.verdict)
	add(keyReason, f.reason)
	add(keyOutcome, f.outcome)
	add(semconv.ErrorTypeKey, f.failure)
	return attribute.NewSet(all...)
}

// options are facts as the instruments take them.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

// maxSeries bounds what a series remembers: a host with many tenants pays with time rather than with memory.
const maxSeries = 4096

// series remembers the options for facts, because making them costs more than the measurement.
type series struct {
	mu    sync.RWMutex
	known map[facts]options
}

func (s *series) of(f facts) options {
	s.mu.RLock()
	o, ok := s.known[f]
	s.mu.RUnlock()
	if ok {
		return o
	}
	set := metric.WithAttributeSet(f.set())
	o = options{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSeries {
		s.known = map[facts]options{}
	}
	s.known[f] = o
	return o
}
