package oteldispatch_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
	"github.com/tocsin-go/tocsin/dispatcher/oteldispatch"
	"github.com/tocsin-go/tocsin/retry"
)

// seriesOf returns the values of an instrument's series with the name of a route.
func (b *bundle) seriesOf(instrument, route string) (all []string) {
	for line := range strings.Lines(b.series()) {
		if strings.HasPrefix(line, instrument+" ") && strings.Contains(line, "messaging.destination.name="+route+",") {
			all = append(all, strings.TrimSpace(line[strings.LastIndex(line, "}")+1:]))
		}
	}
	return all
}

// Only routes in force have counters and gauges. Without tenants routes of one name have them together.
func TestSeriesOfRemovedRoutes(t *testing.T) {
	counters := []string{"messaging.client.sent.messages", "messaging.client.consumed.messages", "tocsin.settled"}
	for _, tenants := range []bool{false, true} {
		t.Run(fmt.Sprint(tenants), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				routes := func(tenant string, names ...string) (all []dispatcher.Route) {
					for _, n := range names {
						all = append(all, dispatcher.Route{Tenant: tenant, Name: n, Channel: &rec})
					}
					return all
				}
				b := setup(t, oteldispatch.Config{Tenants: tenants}, dispatcher.Config{Routes: append(routes("acme", "audit", "chat"), routes("globex", "audit")...)})
				values := func(route string, want ...string) {
					t.Helper()
					for _, c := range counters {
						assert.Equal(t, want, b.seriesOf(c, route), "%s of %s", c, route)
					}
				}
				b.dispatch(request("e-1", "acme"), request("e-2", "globex"))
				synctest.Wait()
				values("chat", "1")
				require.NoError(t, b.SetTenant(t.Context(), "acme", routes("acme", "audit")))
				values("chat")
				assert.NotContains(t, b.series(), "tocsin.route.queued [{delivery}] {messaging.destination.name=chat")
				require.NoError(t, b.SetTenant(t.Context(), "acme", nil))
				if tenants {
					values("audit", "1")
				} else {
					values("audit", "2")
				}
				require.NoError(t, b.SetTenant(t.Context(), "globex", nil))
				values("audit")
				b.Observer().Settled(dispatcher.Settlement{Delivery: channel.Delivery{Route: dispatcher.RouteID{Tenant: "globex", Name: "audit"}, Event: request("e-3", "globex")}})
				values("audit")
				require.NoError(t, b.SetTenant(t.Context(), "globex", routes("globex", "audit")))
				values("audit")
				b.dispatch(request("e-4", "globex"))
				synctest.Wait()
				values("audit", "1")
			})
		})
	}
}

// What happens in the library's own lane is counted, though it is no route's.
func TestSeriesOfTheSchedule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, oteldispatch.Config{}, dispatcher.Config{Routes: []dispatcher.Route{{Name: "audit", Channel: new(channeltest.Recorder)}}})
		require.NoError(t, b.Schedule(t.Context(), time.Now().Add(time.Hour), "key", request("e-1", "")))
		assert.Equal(t, []string{"1"}, b.seriesOf("messaging.client.sent.messages", "tocsin.schedule"))
	})
}

// Names that come and go leave nothing here, and in the SDK what its limit of cardinality allows for the durations.
func TestNamesThatComeAndGo(t *testing.T) {
	const names = 20_000
	reader := sdkmetric.NewManualReader()
	telemetry, err := oteldispatch.New(oteldispatch.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), Tenants: true})
	require.NoError(t, err)
	o := telemetry.Observer()
	use := func(n int) {
		r := dispatcher.Route{Tenant: fmt.Sprint("tenant-", n), Name: "hook"}
		o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{r}})
		d := channel.Delivery{Route: r.ID(), Event: request("e", r.Tenant)}
		o.Attempted(dispatcher.Attempt{Context: context.Background(), Delivery: d, Verdict: retry.VerdictSuccess})
		o.Settled(dispatcher.Settlement{Delivery: d, Outcome: dispatcher.Delivered})
		o.RoutesChanged(dispatcher.RouteChange{Removed: []dispatcher.RouteID{r.ID()}})
		o.Settled(dispatcher.Settlement{Delivery: d, Outcome: dispatcher.Delivered})
	}
	for n := range 2500 { // which fill up the SDK
		use(n)
	}
	before := heap.Used()
	for n := range names {
		use(n)
	}
	left := heap.Used() - before
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			assert.Empty(t, data.DataPoints, m.Name)
		case metricdata.Histogram[float64]:
			t.Logf("%d names leave %d bytes, and %d series of %s", names, left, len(data.DataPoints), m.Name)
			assert.LessOrEqual(t, len(data.DataPoints), 2000, m.Name)
		}
	}
	assert.Less(t, left, int64(256<<10))
	runtime.KeepAlive(telemetry)
}
