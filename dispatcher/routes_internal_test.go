package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

type sleeper struct{ takes time.Duration }

func (s *sleeper) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	<-time.After(s.takes)
	return channel.Receipt{}, nil
}

// What a removed route leaves is gone once nothing sends there any more, whether somebody waited for that or not.
func TestRemovedRoutesLeaveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = e.Run(ctx) }()
		synctest.Wait()
		at := &sleeper{time.Minute}
		for i := range 300 {
			tenant := fmt.Sprint("t", i)
			route := func(name string, c channel.Channel) Route {
				return Route{Name: name, Tenant: tenant, Channel: c, Timeout: -1}
			}
			require.NoError(t, e.SetTenant(ctx, tenant, []Route{route("shared", at), route("own", &sleeper{time.Minute})}))
			e.table.Load().whyUnrouted(event.Must(event.GrantActive{}, event.Meta{}))
			require.NoError(t, e.Dispatch(ctx, event.Must(event.GrantActive{}, event.Meta{Tenant: tenant})))
			synctest.Wait()
			require.NoError(t, e.SetTenant(ctx, tenant, []Route{route("shared", at)}))
			synctest.Wait() // until nobody else changes them, for which a context that is done does not wait
			var expired context.CancelFunc
			short := ctx
			if i%2 == 0 {
				short, expired = context.WithCancel(ctx)
				expired()
			}
			_ = e.SetTenant(short, tenant, nil)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		assert.Empty(t, e.lanes)
		assert.Empty(t, e.uses)
		assert.Empty(t, e.unused)
		assert.Empty(t, e.table.Load().tenants())
	})
}

// The table finds each tenant's routes, whatever was added and removed before.
func TestRouteTable(t *testing.T) {
	t.Parallel()
	table := newRouteTable()
	const n = 10_000
	for i := range n {
		tenant := fmt.Sprint(i)
		table = table.with(newTenantRoutes(tenant, n-i, []*activeRoute{newActiveRoute(Route{Name: tenant}, nil)}))
	}
	before := table
	for i := range n {
		if i%3 > 0 {
			table = table.with(newTenantRoutes(fmt.Sprint(i), 0, nil))
		}
	}
	for i := range n {
		tenant := fmt.Sprint(i)
		require.Equal(t, tenant, before.of(tenant).all[0].Name)
		require.Equal(t, i%3 == 0, table.of(tenant) != nil)
	}
	assert.Len(t, table.tenants(), (n+2)/3)
	assert.Equal(t, "9999", table.tenants()[0].tenant, "by position")
	assert.Len(t, before.tenants(), n, "a table does not change")
}
