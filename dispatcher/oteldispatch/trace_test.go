package oteldispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// errDown is a third party's error that says too much.
var errDown = errors.New("POST https://hooks.example/" + secretMark + ": " + payloadMark)

// answer fails as a channel does that knows the status.
func answer(status int, err error) channeltest.Step {
	return func(context.Context, channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{Status: status, OutcomeUnknown: status == 504}, err
	}
}

// slow answers after 20 ms, within a span of its own, as an instrumented client would.
func slow(next channel.Channel) channel.Channel {
	return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
		_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("client").Start(ctx, "POST", trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
		<-time.After(20 * time.Millisecond)
		return next.Send(ctx, d)
	})
}

func TestTraceFromDispatchToDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ok, flaky, refuses channeltest.Recorder
		ok.Script(answer(204, nil))
		flaky.Script(answer(504, errDown), answer(200, nil))
		refuses.Script(answer(400, retry.Permanent(errDown)))
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "audit", Channel: &ok, Use: []channel.Middleware{slow}},
			{Name: "chat", Channel: &flaky, Retry: retry.Fixed{Interval: 3 * time.Second}},
			{Name: "desk", Channel: &refuses},
		}})
		b.dispatch(request("e-1", ""))
		advance(time.Minute)
		golden(t, "dispatch.txt", b.tree())
	})
}

func TestTraceOfAScheduledEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{{Name: "audit", Channel: &rec}}})
		ctx, span := b.product.Start(context.Background(), "grant")
		require.NoError(t, b.Schedule(ctx, time.Now().Add(time.Hour), "expiring/g-1", request("e-1", "")))
		span.End()
		advance(2 * time.Hour)
		golden(t, "schedule.txt", b.tree())
	})
}

func TestTraceOfSeveralEventsAndTenants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{Tenants: true}, dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "audit", Channel: &rec, Tenant: dispatcher.AnyTenant, Concurrency: 1},
		}})
		b.dispatch(request("e-1", "acme"), request("e-2", ""))
		advance(time.Minute)
		golden(t, "tenants.txt", b.tree())
	})
}

func TestTraceOfADeadLetterThatIsRequeued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(answer(410, retry.Permanent(errDown)))
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{{Name: "audit", Channel: &rec}}})
		b.dispatch(request("e-1", ""))
		advance(time.Minute)
		n, err := b.RedeliverDead(context.Background(), dispatcher.DeadLetterFilter{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		advance(time.Minute)
		golden(t, "requeue.txt", b.tree())
	})
}

// TestDeliverSpanTellsTheOutcome goes through what can become of an attempt.
func TestDeliverSpanTellsTheOutcome(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  channeltest.Step
		route dispatcher.Route
	}{
		{name: "delivered", step: answer(200, nil)},
		{name: "skipped", step: channeltest.Succeed(channel.Receipt{Skipped: true})},
		{name: "panic", step: channeltest.Panic(payloadMark), route: dispatcher.Route{Retry: retry.Never{}}},
		{name: "gone", step: answer(410, retry.Permanent(errors.Join(errDown, channel.ErrGone)))},
		{name: "postponed", step: channeltest.Fail(retry.Postpone(errDown, 2*time.Hour))},
		{name: "timeout", step: channeltest.Hang(), route: dispatcher.Route{Timeout: time.Second, Retry: retry.Fixed{Interval: 2 * time.Hour}}},
		{name: "retry-after", step: answer(429, retry.Delay(errDown, 2*time.Hour))},
		{name: "other", step: channeltest.Fail(errDown), route: dispatcher.Route{Retry: retry.Fixed{Interval: 2 * time.Hour}}},
		{name: "odd-status", step: answer(999, errDown), route: dispatcher.Route{Retry: retry.Fixed{Interval: 2 * time.Hour}}},
		{name: "refused-with-200", step: answer(200, retry.Permanent(errDown))},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(c.step)
				c.route.Name, c.route.Channel = "audit", &rec
				b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{c.route}})
				b.dispatch(request("e-1", ""))
				advance(time.Hour)
				golden(t, "outcome-"+c.name+".txt", b.tree()+"\n"+b.series())
			})
		})
	}
}

func TestDeliverSpanOfADeliveryThatIsTooOld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		route := dispatcher.Route{Name: "audit", Channel: &rec, MaxAge: time.Minute, State: dispatcher.Paused}
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{route}})
		b.dispatch(request("e-1", ""))
		advance(time.Hour)
		route.State = dispatcher.Enabled
		require.NoError(t, b.SetRoutes(context.Background(), []dispatcher.Route{route}))
		advance(time.Hour)
		golden(t, "outcome-untried.txt", b.tree()+"\n"+b.series())
		assert.Empty(t, rec.Deliveries())
	})
}

func TestSendSpanTellsWhatTheQueueRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "audit", Channel: &rec},
			{Name: "full", Channel: &rec, State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1}},
		}})
		ctx := context.Background()
		require.NoError(t, b.Dispatch(ctx, request("e-1", "")))
		var full *dispatcher.BacklogError
		require.ErrorAs(t, b.Dispatch(ctx, request("e-2", "")), &full)
		other := event.Must(event.GrantRevoked{Reason: payloadMark}, event.Meta{ID: "e-1"})
		var conflict *dispatcher.ConflictError
		require.ErrorAs(t, b.Dispatch(ctx, other), &conflict)
		done, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, b.Dispatch(done, request("e-3", "")), context.Canceled)
		advance(time.Minute)
		golden(t, "refused.txt", b.tree()+"\n"+b.series())
	})
}
