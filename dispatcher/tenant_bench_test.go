package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// nothing is a Channel that does nothing. It is comparable, and each has an address of its own.
type nothing struct{ _ byte }

func (*nothing) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	return channel.Receipt{}, nil
}

const routesPerTenant = 3

func tenantOf(i int) string { return fmt.Sprintf("tenant-%06d", i) }

// routesOf are a tenant's routes to new channels: two for requests, one for grants.
func routesOf(tenant string) []dispatcher.Route {
	all := make([]dispatcher.Route, routesPerTenant)
	for i := range all {
		all[i] = dispatcher.Route{Name: fmt.Sprint("route-", i), Tenant: tenant, Channel: new(nothing), Events: event.Types("bench.*")}
	}
	all[routesPerTenant-1].Events = event.Types("grant.*")
	return all
}

// population is a running Engine with many tenants.
type population struct {
	*dispatcher.Engine
	routes [][]dispatcher.Route // by tenant
	n      int                  // operations so far
}

func populate(b *testing.B, routes int) *population {
	b.Helper()
	p := &population{}
	var all []dispatcher.Route
	for i := range routes / routesPerTenant {
		p.routes = append(p.routes, routesOf(tenantOf(i)))
		all = append(all, p.routes[i]...)
	}
	p.Engine = running(b, all)
	return p
}

// running makes an Engine that delivers, with a route of the whole platform beside the given ones.
func running(b *testing.B, routes []dispatcher.Route) *dispatcher.Engine {
	b.Helper()
	ready := make(chan struct{})
	platform := dispatcher.Route{Name: "platform", Tenant: dispatcher.AnyTenant, Events: event.Types("grant.*"),
		Channel: channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			close(ready)
			return channel.Receipt{}, nil
		})}
	engine, err := dispatcher.New(dispatcher.Config{Routes: append(routes, platform), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = engine.Run(ctx)
	}()
	b.Cleanup(func() {
		stop()
		<-ended
	})
	if err := engine.Dispatch(ctx, event.Must(event.GrantActive{}, event.Meta{})); err != nil {
		b.Fatal(err)
	}
	<-ready
	return engine
}

// beside compares an operation with many routes and with 300, batch by batch in one run, for a hundred tenants of
// either: how much else there is must not count. It reports the medians.
func beside(b *testing.B, op func(b *testing.B, p *population)) {
	for _, routes := range []int{300, 30_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			few, many := populate(b, 300), populate(b, routes)
			batch := func(p *population) time.Duration {
				began := time.Now()
				for range 100 {
					op(b, p)
				}
				return time.Since(began)
			}
			batch(few)
			batch(many)
			runtime.GC() // of what it took to get here
			var took, ratios []float64
			for b.Loop() {
				x, y := batch(few), batch(many)
				took = append(took, float64(y.Nanoseconds())/100)
				ratios = append(ratios, float64(y)/float64(x))
			}
			slices.Sort(took)
			slices.Sort(ratios)
			b.ReportMetric(took[len(took)/2], "ns/op")
			b.ReportMetric(ratios[len(ratios)/2], "x-300-routes")
		})
	}
}

// next chooses one of a hundred tenants, which are far apart.
func (p *population) next() int {
	p.n++
	return p.n % 100 * (len(p.routes) / 100)
}

// BenchmarkSetTenant changes the three routes of one tenant.
func BenchmarkSetTenant(b *testing.B) {
	beside(b, func(b *testing.B, p *population) {
		i := p.next()
		for r := range p.routes[i] {
			p.routes[i][r].Timeout += time.Second
		}
		if err := p.SetTenant(context.Background(), tenantOf(i), p.routes[i]); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkSetTenantChannels gives the three routes of one tenant other channels.
func BenchmarkSetTenantChannels(b *testing.B) {
	beside(b, func(b *testing.B, p *population) {
		i := p.next()
		p.routes[i] = routesOf(tenantOf(i))
		if err := p.SetTenant(context.Background(), tenantOf(i), p.routes[i]); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkDispatchTenants dispatches an event that two of a tenant's three routes want.
func BenchmarkDispatchTenants(b *testing.B) {
	beside(b, func(b *testing.B, p *population) {
		e := event.Must(smallNote{"somebody asks for access"}, event.Meta{ID: fmt.Sprint("e-", p.n), Tenant: tenantOf(p.next())})
		if err := p.Dispatch(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkStatusTenant describes the routes of one tenant.
func BenchmarkStatusTenant(b *testing.B) {
	beside(b, func(b *testing.B, p *population) {
		all, err := p.Status(context.Background(), dispatcher.StatusFilter{Tenants: []string{tenantOf(p.next())}})
		if err != nil || len(all) != routesPerTenant {
			b.Fatal(len(all), err)
		}
	})
}

// BenchmarkTotals sums up all routes.
func BenchmarkTotals(b *testing.B) {
	p := populate(b, 30_000)
	for b.Loop() {
		if p.Totals().Routes != 30_001 {
			b.Fatal("some are missing")
		}
	}
}

// BenchmarkOnboard gives 10,000 tenants their routes, one by one. When that is linear, the last thousand take as long
// as the second.
func BenchmarkOnboard(b *testing.B) {
	const thousands = 10
	var took [thousands]time.Duration
	for b.Loop() {
		engine := running(b, nil)
		for i := range thousands {
			began := time.Now()
			for n := range 1000 {
				tenant := tenantOf(1000*i + n)
				if err := engine.SetTenant(context.Background(), tenant, routesOf(tenant)); err != nil {
					b.Fatal(err)
				}
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[thousands-1])/float64(took[1]), "x-second-thousand")
}
