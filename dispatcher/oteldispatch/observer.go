package oteldispatch

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Observer returns what counts events, attempts and ends of deliveries, and completes the deliver spans of Queue, for
// dispatcher.Config. Use it once per Engine, or everything counts double.
func (t *Telemetry) Observer() dispatcher.Observer {
	m := &t.meters
	return dispatcher.Observer{
		Dispatched: func(e event.Event, _ int) { m.count(m.dispatched, m.about(e)) },
		Unrouted: func(e event.Event, reason dispatcher.Reason) {
			f := m.about(e)
			f.reason = string(reason)
			m.count(m.unrouted, f)
		},
		Attempted: t.attempted,
		Settled: func(s dispatcher.Settlement) {
			f := m.about(s.Delivery.Event)
			f.route, f.result = s.Delivery.Route, string(s.Outcome)
			m.count(m.settled, f)
		},
	}
}

func (t *Telemetry) attempted(a dispatcher.Attempt) {
	failure := ""
	if a.Verdict != retry.VerdictPostponed { // which is no failure: nothing was tried
		failure = attemptError(a.Receipt, a.Err)
	}
	t.meters.attempted(&a, failure)
	span := trace.SpanFromContext(a.Context)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(keyVerdict.String(a.Verdict.String()))
	if a.Receipt.Status != 0 {
		span.SetAttributes(keyStatus.Int(a.Receipt.Status))
	}
	if a.Receipt.Skipped {
		span.SetAttributes(keySkipped.Bool(true))
	}
	if a.Receipt.OutcomeUnknown {
		span.SetAttributes(keyOutcomeUnknown.Bool(true))
	}
	if failure != "" {
		fail(span, failure)
	}
}
