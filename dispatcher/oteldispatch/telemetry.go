package oteldispatch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// scope is the name of the instrumentation in what is exported.
const scope = "github.com/tocsin-go/tocsin/dispatcher/oteldispatch"

// Config says where telemetry goes. OpenTelemetry's global providers are used only if they are named here
// (otel.GetTracerProvider, otel.GetMeterProvider).
type Config struct {
	TracerProvider trace.TracerProvider // nil = no spans; trace context is carried through the queue all the same
	MeterProvider  metric.MeterProvider // nil = no metrics
	// Propagator writes trace context into the headers of jobs; nil = propagation.TraceContext. One that carries
	// baggage stores it in the queue.
	Propagator propagation.TextMapPropagator
	// Tenants adds the tenants of events and routes to spans and metrics. Each tenant multiplies the series. Without it
	// the routes of one name are counted together, whichever tenant's they are.
	Tenants bool
}

// Telemetry belongs to one Engine: its Queue, its Observer and its Watch are made to be used together, and each does
// its part alone. All methods are safe for concurrent use. It runs no goroutine and needs no closing. The MeterProvider
// keeps it and reports its counters for as long as itself.
type Telemetry struct {
	tracer     trace.Tracer
	meter      metric.Meter
	propagator propagation.TextMapPropagator
	tenants    bool
	meters     meters
}

// New returns a Telemetry. An error is one of the MeterProvider, which refuses an instrument.
func New(c Config) (*Telemetry, error) {
	if c.TracerProvider == nil {
		c.TracerProvider = tracenoop.NewTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = metricnoop.NewMeterProvider()
	}
	if c.Propagator == nil {
		c.Propagator = propagation.TraceContext{}
	}
	t := &Telemetry{
		tracer:     c.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		meter:      c.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL)),
		propagator: c.Propagator,
		tenants:    c.Tenants,
	}
	var err error
	if t.meters, err = newMeters(t.meter, c.Tenants); err != nil {
		return nil, err
	}
	return t, nil
}

// system is the value of messaging.system.
const system = "tocsin"

// Names of operations.
const (
	dispatch = "dispatch"
	schedule = "schedule"
	deliver  = "deliver"
)

// Attributes the conventions have no name for.
const (
	keyEventType      = attribute.Key("tocsin.event.type")
	keyEventID        = attribute.Key("tocsin.event.id")
	keyTenant         = attribute.Key("tocsin.tenant")
	keyRouteTenant    = attribute.Key("tocsin.route.tenant")
	keyReason         = attribute.Key("tocsin.reason")
	keyOutcome        = attribute.Key("tocsin.outcome")
	keyAttempt        = attribute.Key("tocsin.delivery.attempt")
	keyRedelivery     = attribute.Key("tocsin.delivery.redelivery")
	keyVerdict        = attribute.Key("tocsin.delivery.verdict")
	keySkipped        = attribute.Key("tocsin.delivery.skipped")
	keyOutcomeUnknown = attribute.Key("tocsin.delivery.outcome_unknown")
	keyAction         = attribute.Key("tocsin.delivery.action")
	keyRetryDelay     = attribute.Key("tocsin.delivery.retry_delay")
	keyStatus         = attribute.Key("tocsin.response.status")
)
