package oteldispatch

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
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
			f := m.ofRoute(m.about(s.Delivery.Event), s.Delivery.Route)
			f.outcome = string(s.Outcome)
			m.routes.count(s.Delivery.Route, settledDeliveries, f)
		},
		RoutesChanged: m.routes.changed,
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

// Values of error.type that are not a status, a netguard.Kind or "_OTHER".
const (
	typeBacklog  = "backlog"
	typeCanceled = "canceled"
	typeConflict = "conflict"
	typeGone     = "gone"
	typePanic    = "panic"
	typeTimeout  = "timeout"
	typeUntried  = "untried"
)

// attemptError is the error.type of a failed attempt; "" = it did not fail.
func attemptError(receipt channel.Receipt, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, channel.ErrGone):
		return typeGone
	case receipt.Status >= 300 && receipt.Status < 600:
		return statusError(receipt.Status)
	}
	if _, panicked := errors.AsType[*channel.PanicError](err); panicked {
		return typePanic
	}
	if n, ok := errors.AsType[*netguard.Error](err); ok {
		return string(n.Kind)
	}
	return otherError(err)
}

// statusError is the error.type of a status. Those that have a meaning in HTTP (net/http's list) or SMTP (RFC 5321
// section 4.2.3, RFC 4954 section 6, RFC 7504) are exported as they are. Of others only the class is: the receiver
// chooses them, and one that goes through all numbers would use up the series of all routes.
func statusError(status int) string {
	switch status {
	case 421, 432, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 556:
		return strconv.Itoa(status)
	}
	if http.StatusText(status) != "" {
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status/100) + "xx"
}

// queueError is the error.type of jobs that the queue did not take; "" = it did.
func queueError(err error) string {
	if err == nil {
		return ""
	}
	if _, full := errors.AsType[*queue.BacklogError](err); full {
		return typeBacklog
	}
	if _, conflict := errors.AsType[*queue.ConflictError](err); conflict {
		return typeConflict
	}
	return otherError(err)
}

func otherError(err error) string {
	if errors.Is(err, context.Canceled) {
		return typeCanceled
	}
	if late, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && late.Timeout() {
		return typeTimeout
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
