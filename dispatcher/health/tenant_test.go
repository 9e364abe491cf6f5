package health_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// failed is an attempt of a tenant's route that failed.
func failed(tenant, route string) dispatcher.Attempt {
	return dispatcher.Attempt{Delivery: channel.Delivery{Route: dispatcher.RouteID{Tenant: tenant, Name: route}, Event: event.Must(access{}, event.Meta{Tenant: tenant})},
		Err: errDown, Verdict: retry.VerdictTransient, Began: time.Now()}
}

// Two tenants have a route of one name. An alert about one of them reaches that tenant and the platform, nobody else.
func TestAlertsStayWithTheirTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var platform, nobody channeltest.Recorder
		mail := map[string]*channeltest.Recorder{"a": {}, "b": {}}
		hooks := map[string]*receiver{"a": {}, "b": {}, dispatcher.AnyTenant: {}}
		routes := []dispatcher.Route{alertRoute("mail", &platform), {Name: "mail", Channel: &nobody, Events: event.Types("tocsin.*")}}
		for tenant, r := range mail {
			routes = append(routes, dispatcher.Route{Name: "mail", Tenant: tenant, Channel: r, Events: event.Types("tocsin.*")})
		}
		for tenant, r := range hooks {
			r.fail(errDown)
			routes = append(routes, dispatcher.Route{Name: "hook", Tenant: tenant, Channel: r, Events: event.Types("access.*"),
				Retry: retry.Fixed{Interval: m}, MaxAge: 30 * time.Second})
		}
		b := start(t, health.Options{Alert: health.Alert{After: -1, Resend: -1, Dead: true}}, routes...)
		b.dispatch("a")
		advance(m)
		assert.ElementsMatch(t, []string{"channel_failing a/hook @ 0s", "delivery_dead a/hook @ 0s"}, b.news(mail["a"]))
		assert.Empty(t, b.news(mail["b"]))
		ofPlatform := []string{"channel_failing */hook @ 0s", "delivery_dead */hook @ 0s"}
		assert.ElementsMatch(t, ofPlatform, b.news(&nobody), "a route of the platform is no tenant's business")
		assert.ElementsMatch(t, append(ofPlatform, b.news(mail["a"])...), b.news(&platform))
	})
}

// A tenant whose alerts nobody takes in time leaves room for those of others.
func TestAFloodOfAlertsLeavesRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := new(logbook)
		monitor := health.New(health.Options{Alert: health.Alert{After: -1, Resend: -1, Dead: true}, Logger: newLogger(log)})
		o := monitor.Observer()
		o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{{Tenant: "flood", Name: "r"}, {Tenant: "quiet", Name: "r"}}})
		dead := func(tenant string) {
			o.Settled(dispatcher.Settlement{Delivery: failed(tenant, "r").Delivery, Outcome: dispatcher.Dead})
		}
		for range 5000 {
			dead("flood")
		}
		dead("quiet")
		for range 2 { // also after some had to wait for another try
			var rec dispatchertest.Recorder
			rec.Fail(context.DeadlineExceeded, context.DeadlineExceeded)
			ctx, stop := context.WithCancel(t.Context())
			ran := make(chan error)
			go func() { ran <- monitor.Run(ctx, &rec) }()
			advance(m)
			of := map[string]int{}
			for _, e := range rec.Events() {
				of[e.Tenant()]++
			}
			assert.Equal(t, map[string]int{"flood": 1000, "quiet": 1}, of)
			stop()
			<-ran
			for range 5000 {
				dead("flood")
			}
			dead("quiet")
		}
		assert.Equal(t, 2, log.count(t, "tocsin: alerts were lost: too many waited"))
		assert.Equal(t, []float64{4000, 8000}, log.lost(t), "in all")
	})
}

// Names that come and go leave nothing, failing or not.
func TestMonitorForgetsNames(t *testing.T) {
	const names = 20_000
	monitor := health.New(health.Options{Alert: health.Alert{Resend: -1}})
	o := monitor.Observer()
	o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{{Name: "stays"}}})
	before := heap.Used()
	for i := range names {
		r := dispatcher.Route{Tenant: fmt.Sprint("tenant-", i), Name: "r"}
		o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{r}})
		a := failed(r.Tenant, r.Name)
		o.Attempted(a)
		monitor.SetTenant(r.Tenant, map[dispatcher.RouteID]health.Alert{r.ID(): {Off: true}})
		o.RoutesChanged(dispatcher.RouteChange{Removed: []dispatcher.RouteID{r.ID()}})
		monitor.SetTenant(r.Tenant, nil)
		o.Attempted(a) // which ended only now
	}
	left := heap.Used() - before
	t.Logf("%d names leave %d bytes", names, left)
	require.Less(t, left, int64(64<<10))
	runtime.KeepAlive(monitor)
}

// BenchmarkChange: a tenant changes its three routes, a thousand of other tenants' are failing.
func BenchmarkChange(b *testing.B) {
	for _, routes := range []int{300, 30_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			monitor := health.New(health.Options{})
			o := monitor.Observer()
			var all []dispatcher.Route
			for i := range routes {
				all = append(all, dispatcher.Route{Tenant: fmt.Sprint(i / 3), Name: fmt.Sprint(i % 3)})
			}
			o.RoutesChanged(dispatcher.RouteChange{Set: all})
			for i := range routes / 30 {
				o.Attempted(failed(fmt.Sprint(i+10), "0"))
			}
			ctx, stop := context.WithCancel(b.Context())
			ran := make(chan struct{})
			go func() {
				defer close(ran)
				_ = monitor.Run(ctx, new(dispatchertest.Recorder))
			}()
			b.ReportAllocs()
			for b.Loop() {
				o.RoutesChanged(dispatcher.RouteChange{Set: all[6:9]})
			}
			stop()
			<-ran
		})
	}
}
