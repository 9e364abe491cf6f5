package oteldispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMetrics(t *testing.T) {
	for name, tenants := range map[string]bool{"metrics.txt": false, "metrics-tenants.txt": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var ok, flaky, down channeltest.Recorder
				ok.Script(channeltest.Delay(250 * time.Millisecond))
				flaky.Script(answer(503, errDown), answer(503, errDown))
				for range 1000 {
					down.Script(channeltest.Fail(errDown))
				}
				b := setup(t, oteldispatch.Config{Tenants: tenants}, dispatcher.Config{Routes: []dispatcher.Route{
					{Name: "audit", Channel: &ok, Tenant: dispatcher.AnyTenant, Concurrency: 1},
					{Name: "chat", Channel: &flaky, Tenant: dispatcher.AnyTenant, Concurrency: 1, Retry: retry.Fixed{Interval: time.Second}},
					{Name: "desk", Channel: &down, Tenant: "acme", Retry: retry.Fixed{Interval: time.Minute}},
					{Name: "mail", Channel: &ok, Tenant: "acme", State: dispatcher.Paused},
					{Name: "alerts", Channel: &ok, Tenant: "globex", Events: event.Types("alert.*")},
				}})
				b.dispatch(request("e-1", "acme"), request("e-2", "globex"))
				b.dispatch(event.Must(note{}, event.Meta{ID: "e-3", Tenant: "acme"}))
				advance(10 * time.Minute)
				golden(t, name, b.series())
			})
		})
	}
}

// note is a host's own event, which every route but "alerts" takes.
type note struct{}

func (note) EventType() event.Type { return "note.made" }

func TestMetricsOfEventsThatNoRouteWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "alerts", Channel: &rec, Events: event.Types("alert.*")},
			{Name: "off", Channel: &rec, Events: event.Types("grant.*"), State: dispatcher.Disabled},
		}})
		b.dispatch(request("e-1", ""), event.Must(event.GrantActive{}, event.Meta{ID: "e-2"}),
			event.Must(event.AlertOpened{}, event.Meta{ID: "e-3", Tenant: "acme"}))
		golden(t, "unrouted.txt", b.tree()+"\n"+b.series())
	})
}

// TestMetricsAreBounded: whatever events say and receivers answer, the number of series is that of routes, types and
// known words.
func TestMetricsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		status := 0
		hostile := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			status++
			return channel.Receipt{Status: status, ProviderID: d.Event.ID()}, retry.Permanent(fmt.Errorf("error %d of %s", status, d.ID()))
		})
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "hostile", Channel: hostile, Tenant: dispatcher.AnyTenant, Concurrency: 1},
		}})
		seed := rand.New(rand.NewPCG(1, 2))
		for i := range 1200 {
			b.dispatch(request(fmt.Sprint("e-", seed.Uint64()), fmt.Sprint("tenant-", i)))
		}
		advance(time.Minute)
		require.Equal(t, 1200, status)
		of := map[string]int{}
		for line := range strings.Lines(b.series()) {
			name, _, _ := strings.Cut(line, " ")
			of[name]++
		}
		assert.Less(t, of["messaging.process.duration"], 80, "a series for each status that means something")
		assert.Equal(t, of["messaging.process.duration"], of["messaging.client.consumed.messages"])
		assert.Equal(t, 1, of["messaging.client.sent.messages"])
		assert.Equal(t, 1, of["messaging.client.operation.duration"])
		assert.Equal(t, 1, of["tocsin.dispatched"])
		assert.Equal(t, 1, of["tocsin.settled"])
	})
}

// TestManyTenantsAreCountedRightly: more of them than attribute sets are remembered.
func TestManyTenantsAreCountedRightly(t *testing.T) {
	t.Parallel()
	const tenants = 5000
	b := setup(t, oteldispatch.Config{Tenants: true}, dispatcher.Config{})
	for range 2 {
		for i := range tenants {
			require.NoError(t, b.Dispatch(context.Background(), request(fmt.Sprint("e-", i), fmt.Sprint("tenant-", i))))
		}
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, b.metrics.Collect(context.Background(), &all))
	total := int64(0)
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "tocsin.unrouted" {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				total += p.Value
			}
		}
	}
	assert.Equal(t, int64(2*tenants), total)
}

// TestGaugesThatTheQueueCannotTellAreAbsent: rather than -1.
func TestGaugesThatTheQueueCannotTellAreAbsent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{
			Queue:  uninspected{memoryqueue.New(memoryqueue.Options{})},
			Routes: []dispatcher.Route{{Name: "audit", Channel: &rec}},
		})
		assert.Equal(t, "tocsin.route.failing.duration [s] {messaging.destination.name=audit} 0\n", b.series())
	})
}

// uninspected is a queue that cannot be looked at.
type uninspected struct{ queue.Queue }

func (u uninspected) Properties() queue.Properties {
	p := u.Queue.Properties()
	p.Inspection = false
	return p
}

// uncounted is a queue whose counts are not answered.
type uncounted struct{ *memoryqueue.Queue }

func (uncounted) Count(ctx context.Context, _ string) (queue.Counts, error) {
	<-ctx.Done()
	return queue.Counts{}, ctx.Err()
}

// A queue that does not answer costs a collection no more than its own context, however many routes there are.
func TestCollectionEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var routes []dispatcher.Route
		for i := range 100 {
			routes = append(routes, dispatcher.Route{Name: fmt.Sprint("r", i), Channel: new(channeltest.Recorder)})
		}
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Queue: uncounted{memoryqueue.New(memoryqueue.Options{})}, Routes: routes})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var got metricdata.ResourceMetrics
		require.ErrorIs(t, b.metrics.Collect(ctx, &got), context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(b.began))
	})
}

func TestWatchUntilUnregister(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{})
		other := run(t, dispatcher.Config{Routes: []dispatcher.Route{{Name: "audit", Channel: &rec}}})
		watch, err := b.Watch(other)
		require.NoError(t, err)
		assert.Contains(t, b.series(), "tocsin.route.queued")
		require.NoError(t, watch.Unregister())
		assert.NotContains(t, b.series(), "tocsin.route.queued")
	})
}

// refusing is a MeterProvider that does not make instruments of one unit.
type refusing struct {
	noop.MeterProvider

	unit string
}

type refusingMeter struct {
	noop.Meter

	unit string
}

var errRefused = errors.New("refused")

func (r refusing) Meter(string, ...metric.MeterOption) metric.Meter {
	return refusingMeter{unit: r.unit}
}

func (m refusingMeter) Int64Counter(_ string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if metric.NewInt64CounterConfig(o...).Unit() == m.unit {
		return nil, errRefused
	}
	return noop.Int64Counter{}, nil
}

func (m refusingMeter) Int64ObservableCounter(_ string, o ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	if metric.NewInt64ObservableCounterConfig(o...).Unit() == m.unit {
		return nil, errRefused
	}
	return noop.Int64ObservableCounter{}, nil
}

func (m refusingMeter) Int64ObservableGauge(_ string, o ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	if metric.NewInt64ObservableGaugeConfig(o...).Unit() == m.unit {
		return nil, errRefused
	}
	return noop.Int64ObservableGauge{}, nil
}

func (m refusingMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errRefused
}

func TestErrorsOfTheMeterProvider(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"{message}", "{event}", "{delivery}"} {
		_, err := oteldispatch.New(oteldispatch.Config{MeterProvider: refusing{unit: unit}})
		require.ErrorIs(t, err, errRefused, unit)
	}
	telemetry, err := oteldispatch.New(oteldispatch.Config{MeterProvider: refusing{}})
	require.NoError(t, err)
	engine, err := dispatcher.New(dispatcher.Config{})
	require.NoError(t, err)
	_, err = telemetry.Watch(engine)
	require.ErrorIs(t, err, errRefused)
}
