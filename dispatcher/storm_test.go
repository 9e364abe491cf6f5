package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// tally counts what a route's channels took, and watches tenants and the order of subjects.
type tally struct {
	tenant  string // "*" = any
	ordered bool
	fails   bool // now and then, in every way there is

	tried atomic.Int64

	mu       sync.Mutex
	taken    map[string]int
	last     map[string]int // number of the last success, by subject and tenant
	problems []string
}

func (c *tally) channel() channel.Channel {
	return channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		if n := c.tried.Add(1); c.fails {
			switch n % 300 {
			case 0:
				return channel.Receipt{}, retry.Postpone(errDown, 0)
			case 40, 41, 130, 220:
				return channel.Receipt{}, errDown
			case 80, 180, 260:
				panic("storm")
			case 100, 200:
				return channel.Receipt{}, retry.Delay(errDown, 2*time.Millisecond)
			}
		}
		n, err := event.Decode[note](d.Event)
		if err != nil {
			return channel.Receipt{}, retry.Permanent(err)
		}
		c.take(d.Event, n.N)
		return channel.Receipt{}, nil
	})
}

func (c *tally) take(e event.Event, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken[e.ID()]++
	if c.tenant != dispatcher.AnyTenant && c.tenant != e.Tenant() {
		c.problems = append(c.problems, "event of tenant "+e.Tenant()+" at the route of tenant "+c.tenant)
	}
	key := fmt.Sprintf("%q of %q", e.Subject(), e.Tenant())
	if last, ok := c.last[key]; c.ordered && ok && n <= last {
		c.problems = append(c.problems, fmt.Sprintf("%s: %d after %d", key, n, last))
	}
	c.last[key] = n
}

// stormRoutes are the routes of one change: the same names, but new values and channels.
func stormRoutes(tallies map[string]*tally, change int) []dispatcher.Route {
	again := retry.Fixed{Interval: time.Millisecond}
	wide := dispatcher.Backlog{Jobs: 20_000}
	routes := []dispatcher.Route{
		{Name: "any", Tenant: dispatcher.AnyTenant},
		{Name: "any by subject", Tenant: dispatcher.AnyTenant, Order: dispatcher.BySubject, Concurrency: 1 + change%8},
		{Name: "any, fails, by subject", Tenant: dispatcher.AnyTenant, Order: dispatcher.BySubject, Concurrency: 8},
		{Name: "a", Tenant: "a", Order: dispatcher.Strict},
		{Name: "b, fails, strict", Tenant: "b", Order: dispatcher.Strict},
		{Name: "none, fails", Tenant: ""},
	}
	for i := range routes {
		r := &routes[i]
		r.Channel, r.Retry, r.Backlog = tallies[r.Name].channel(), again, wide
	}
	off := dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: -1}}
	few := dispatcher.Backlog{Jobs: 50, Overflow: dispatcher.DropOldest}
	hangs := channel.Func(func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
		<-ctx.Done()
		return channel.Receipt{}, ctx.Err()
	})
	panics := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { panic("always") })
	gone := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, retry.Permanent(channel.ErrGone)
	})
	routes = append(routes,
		dispatcher.Route{Name: "hangs", Tenant: dispatcher.AnyTenant, Channel: hangs, Timeout: 5 * time.Millisecond, Retry: retry.Never{}, Backlog: few, Protect: off},
		dispatcher.Route{Name: "panics", Tenant: dispatcher.AnyTenant, Channel: panics, Retry: retry.AtMost(3, again), Backlog: few, Protect: off},
		dispatcher.Route{Name: "gone", Tenant: dispatcher.AnyTenant, Channel: gone, Backlog: few})
	if change%2 == 1 { // some come and go, at the ends of the list
		routes = routes[:len(routes)-1]
	}
	return routes
}

func TestStorm(t *testing.T) {
	t.Parallel()
	const goroutines, events = 64, 10_000
	tenants := []string{"", "a", "b", "c"}
	tallies := map[string]*tally{}
	for name, c := range map[string]*tally{
		"any":                    {tenant: dispatcher.AnyTenant},
		"any by subject":         {tenant: dispatcher.AnyTenant, ordered: true},
		"any, fails, by subject": {tenant: dispatcher.AnyTenant, ordered: true, fails: true},
		"a":                      {tenant: "a", ordered: true},
		"b, fails, strict":       {tenant: "b", ordered: true, fails: true},
		"none, fails":            {tenant: "", fails: true},
	} {
		c.taken, c.last = map[string]int{}, map[string]int{}
		tallies[name] = c
	}
	engine, err := dispatcher.New(dispatcher.Config{Routes: stormRoutes(tallies, 0), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- engine.Run(context.Background()) }()

	var producers sync.WaitGroup
	sent := make([][]event.Event, goroutines)
	for g := range goroutines {
		producers.Go(func() {
			for i := g; i < events; i += goroutines { // each has subjects of its own, so that it knows their order
				e := newNote(i, event.Meta{Tenant: tenants[(i/goroutines)%4], Subject: fmt.Sprintf("s%d-%d", g, i/goroutines%3)})
				sent[g] = append(sent[g], e)
				assert.NoError(t, engine.Dispatch(context.Background(), e))
			}
		})
	}
	produced := make(chan struct{})
	go func() { producers.Wait(); close(produced) }()
	changes := 1
	for running := true; running; changes++ {
		assert.NoError(t, engine.SetRoutes(context.Background(), stormRoutes(tallies, changes)))
		select {
		case <-produced:
			running = changes < 20
		default:
		}
	}
	finish(t, engine, tallies, sent)
	require.NoError(t, <-ran)
	t.Logf("%d changes of routes", changes)
}

// SetRoutes 1,000 times during 100,000 events: nothing is lost and nothing doubled. Producers and changes keep pace, so
// that there are changes all the time.
func TestSetRoutes1000TimesDuring100000Events(t *testing.T) {
	t.Parallel()
	const producers, changes, events = 4, 1000, 100_000
	tallies := map[string]*tally{
		"any":                    {tenant: dispatcher.AnyTenant},
		"any, fails, by subject": {tenant: dispatcher.AnyTenant, ordered: true, fails: true},
		"a":                      {tenant: "a", ordered: true},
	}
	for _, c := range tallies {
		c.taken, c.last = map[string]int{}, map[string]int{}
	}
	routes := func(change int) []dispatcher.Route {
		var all []dispatcher.Route
		for name, c := range tallies { // in another order each time
			r := dispatcher.Route{Name: name, Tenant: c.tenant, Channel: c.channel(), Retry: retry.Fixed{Interval: time.Millisecond},
				Concurrency: 1 + change%8, Backlog: dispatcher.Backlog{Jobs: events}}
			if c.ordered {
				r.Order = dispatcher.BySubject
			}
			all = append(all, r)
		}
		return all
	}
	engine, err := dispatcher.New(dispatcher.Config{Routes: routes(0), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- engine.Run(context.Background()) }()

	pace := make(chan struct{}, 2*producers) // a token for each share of events between two changes
	var wg sync.WaitGroup
	sent := make([][]event.Event, producers)
	for g := range producers {
		wg.Go(func() {
			for i := range events / producers {
				if i%(events/producers/changes) == 0 {
					<-pace
				}
				e := newNote(i, event.Meta{Tenant: []string{"", "a"}[i%2], Subject: fmt.Sprintf("s%d-%d", g, i%5)})
				sent[g] = append(sent[g], e)
				assert.NoError(t, engine.Dispatch(context.Background(), e))
			}
		})
	}
	for change := range changes {
		for range producers {
			pace <- struct{}{}
		}
		assert.NoError(t, engine.SetRoutes(context.Background(), routes(change+1)))
	}
	wg.Wait()
	finish(t, engine, tallies, sent)
	require.NoError(t, <-ran)
}

// finish shuts down once the healthy routes have all they are to get, and checks what they got.
func finish(t *testing.T, engine *dispatcher.Engine, tallies map[string]*tally, sent [][]event.Event) {
	t.Helper()
	want := map[string]map[string]int{}
	for name, c := range tallies {
		want[name] = map[string]int{}
		for _, events := range sent {
			for _, e := range events {
				if c.tenant == dispatcher.AnyTenant || c.tenant == e.Tenant() {
					want[name][e.ID()] = 1
				}
			}
		}
	}
	waiting := func(name string) bool {
		all, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
		require.NoError(t, err)
		for _, s := range all {
			if s.Route.Name == name {
				return s.Queued+s.InFlight > 0
			}
		}
		return false
	}
	require.Eventually(t, func() bool {
		for name := range tallies {
			if waiting(name) {
				return false
			}
		}
		return true
	}, time.Minute, 5*time.Millisecond)
	if err := engine.Shutdown(context.Background()); err != nil {
		for _, l := range leftBy(t, err).Left {
			assert.Equal(t, "*/gone", l.Route.String(), "what is left waits for a destination that is gone: %v", err)
		}
	}
	for name, c := range tallies {
		assert.Empty(t, c.problems, name)
		assert.Len(t, c.taken, len(want[name]), name)
		for id, n := range c.taken {
			if n != want[name][id] {
				assert.Fail(t, fmt.Sprintf("%s: %s was taken %d times", name, id, n))
			}
		}
	}
}
