package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func (b *bundle) setTenant(tenant string, routes ...dispatcher.Route) {
	b.t.Helper()
	require.NoError(b.t, b.SetTenant(context.Background(), tenant, routes))
}

// of is the status of a tenant's route.
func (b *bundle) of(tenant, name string) dispatcher.RouteStatus {
	b.t.Helper()
	all, err := b.Status(context.Background(), dispatcher.StatusFilter{Routes: []dispatcher.RouteID{{Tenant: tenant, Name: name}}})
	require.NoError(b.t, err)
	require.Len(b.t, all, 1)
	return all[0]
}

func TestSetTenantChangesOneTenantOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		recorders := map[string]*channeltest.Recorder{}
		route := func(tenant, name string) dispatcher.Route {
			rec := new(channeltest.Recorder)
			recorders[tenant+"/"+name] = rec
			return dispatcher.Route{Name: name, Tenant: tenant, Channel: rec}
		}
		a, none, all := route("a", "audit"), route("", "audit"), route(dispatcher.AnyTenant, "audit")
		b := start(t, a, none, all)
		got := func(tenant string) (reached []string) {
			e := newNote(1, event.Meta{Tenant: tenant})
			b.dispatch(e)
			synctest.Wait()
			for _, name := range []string{"a/audit", "a/chat", "b/audit", "/audit", "*/audit", "*/siem"} {
				if rec := recorders[name]; rec != nil && len(rec.Deliveries()) > 0 && rec.Deliveries()[len(rec.Deliveries())-1].Event.ID() == e.ID() {
					reached = append(reached, name)
				}
			}
			return reached
		}
		b.setTenant("b", route("b", "audit"))
		assert.Equal(t, []string{"a/audit", "*/audit"}, got("a"))
		assert.Equal(t, []string{"b/audit", "*/audit"}, got("b"))
		assert.Equal(t, []string{"/audit", "*/audit"}, got(""))
		b.setTenant("a", route("a", "chat"))
		assert.Equal(t, []string{"a/chat", "*/audit"}, got("a"))
		b.setTenant("")
		assert.Equal(t, []string{"*/audit"}, got(""))
		b.setTenant(dispatcher.AnyTenant, route(dispatcher.AnyTenant, "siem"))
		assert.Equal(t, []string{"a/chat", "*/siem"}, got("a"))
		assert.Equal(t, []string{"b/audit", "*/siem"}, got("b"))
		var order []string
		for _, s := range b.statuses() {
			order = append(order, s.Route.String())
		}
		assert.Equal(t, []string{"a/chat", "*/siem", "b/audit"}, order, "tenants in the order of their first routes")
	})
}

func TestSetTenantTakesOneTenantsRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Tenant: "a", Channel: new(channeltest.Recorder)})
		before := b.statuses()
		errs := configErrors(t, b.SetTenant(t.Context(), "b", []dispatcher.Route{
			{Name: "r", Tenant: "b", Channel: new(channeltest.Recorder)},
			{Name: "other", Tenant: "a", Channel: new(channeltest.Recorder)},
			{Name: "none", Channel: new(channeltest.Recorder)},
		}))
		require.Len(t, errs, 2)
		assert.Equal(t, "Routes[1].Tenant", errs[0].Path)
		assert.Equal(t, channel.CodeConflict, errs[0].Code)
		assert.Equal(t, "Routes[2].Tenant", errs[1].Path)
		assert.Equal(t, before, b.statuses())
	})
}

// A tenant's receiver that hangs delays nobody else's change, and its own only when its channel goes.
func TestHangingReceiverDelaysNoOtherTenantsChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hanging := &slow{takes: time.Hour}
		route := dispatcher.Route{Name: "audit", Tenant: "a", Channel: hanging, Timeout: -1}
		b := start(t, route)
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}))
		synctest.Wait()
		for i := range 3 {
			b.setTenant("b", dispatcher.Route{Name: "audit", Tenant: "b", Channel: new(channeltest.Recorder), Timeout: time.Duration(i + 1)})
			b.setTenant("b")
		}
		route.Timeout = 2 * time.Hour
		b.setTenant("a", route)
		assert.Zero(t, time.Since(b.began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		busy, ok := errors.AsType[*dispatcher.InUseError](b.SetTenant(ctx, "a", nil))
		require.True(t, ok)
		assert.Equal(t, []dispatcher.RouteID{{Tenant: "a", Name: "audit"}}, busy.Routes)
		b.setTenant("b", dispatcher.Route{Name: "audit", Tenant: "b", Channel: new(channeltest.Recorder)})
		assert.Equal(t, time.Second, time.Since(b.began), "which is not the other's business either")
		b.setTenant("a")
		assert.Equal(t, time.Hour, time.Since(b.began), "its own next change waits")
	})
}

// The other tenants' edits give a gone destination and an open breaker no other try, and nobody is told again.
func TestChangesOfOthersGiveNoOtherTry(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(b *bundle, of map[string][]dispatcher.Route){
		"SetTenant": func(b *bundle, of map[string][]dispatcher.Route) { b.setTenant("b", of["b"]...) },
		"SetRoutes": func(b *bundle, of map[string][]dispatcher.Route) { b.setRoutes(append(of["a"], of["b"]...)...) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				gone, down := always(retry.Permanent(channel.ErrGone)), always(errDown)
				goneChannel, downChannel := &boxedPointer{Channel: gone}, &boxedPointer{Channel: down}
				routes := map[string][]dispatcher.Route{
					"a": {{Name: "gone", Tenant: "a", Channel: goneChannel}, {Name: "down", Tenant: "a", Channel: downChannel,
						Retry: retry.Never{}, Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 1, Pause: time.Hour}}}},
					"b": {{Name: "audit", Tenant: "b", Channel: new(channeltest.Recorder)}},
				}
				b := start(t, append(routes["a"], routes["b"]...)...)
				for i := range 3 {
					b.dispatch(newNote(i, event.Meta{Tenant: "a"}))
					synctest.Wait()
				}
				status := b.of("a", "down")
				for range 10 {
					routes["b"][0].Channel = new(channeltest.Recorder)
					set(b, routes)
					synctest.Wait()
				}
				assert.Len(t, b.seen.attemptsOf("gone"), 1)
				assert.Len(t, b.seen.attemptsOf("down"), 1)
				assert.Equal(t, []string{"a/gone"}, b.seen.disabledRoutes())
				assert.Equal(t, "gone", b.of("a", "gone").Condition())
				assert.Equal(t, status, b.of("a", "down"))
			})
		})
	}
}

// boxedPointer makes a channel of any kind comparable, by its address.
type boxedPointer struct{ channel.Channel }

// What a route that gets another channel knew about the one before is not what is known about the new one.
func TestAnotherChannelIsAnotherDestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first, second channeltest.Recorder
		first.Script(channeltest.Fail(errDown), channeltest.Fail(errDown), channeltest.Fail(retry.Permanent(channel.ErrGone)))
		route := dispatcher.Route{Name: "r", Tenant: "a", Channel: &first, Retry: retry.Never{}, Rate: dispatcher.Rate{Events: 3, Per: time.Hour, Burst: 3}}
		b := start(t, route)
		for i := range 4 {
			b.dispatch(newNote(i, event.Meta{Tenant: "a"}))
			synctest.Wait()
		}
		s := b.of("a", "r")
		assert.True(t, s.Gone)
		assert.EqualValues(t, 3, s.Failed)

		route.Concurrency, route.Timeout, route.Retry = 2, time.Minute, retry.Fixed{}
		b.setTenant("a", route)
		assert.Equal(t, s, b.of("a", "r"), "another setting is no other destination")

		route.Channel = &second
		b.setTenant("a", route)
		synctest.Wait()
		s = b.of("a", "r")
		assert.Equal(t, "enabled", s.Condition())
		assert.Zero(t, s.Failed+s.Dead)
		assert.Empty(t, s.LastError)
		assert.True(t, s.FailingSince.IsZero())
		assert.EqualValues(t, 2, s.Delivered, "what waited goes there, at once")
	})
}

// A gone destination is tried again, without a new channel, once its route was paused and is enabled.
func TestPausedAndEnabledIsAnotherTry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(retry.Permanent(channel.ErrGone)))
		route := dispatcher.Route{Name: "r", Channel: &rec}
		b := start(t, route)
		b.dispatch(notes(1)...)
		synctest.Wait()
		for _, state := range []dispatcher.State{dispatcher.Paused, dispatcher.Disabled} {
			assert.True(t, b.status("r").Gone)
			route.State = state
			b.setRoutes(route)
		}
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 1)
		route.State = dispatcher.Enabled
		b.setRoutes(route)
		synctest.Wait()
		assert.EqualValues(t, 1, b.status("r").Delivered)
		assert.EqualValues(t, 1, b.status("r").Failed, "the destination is the same")
	})
}

// A send of a replaced route to the same channel still says what it finds out about the destination.
func TestLateSendOfTheSameDestinationCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(time.Minute)
			return channel.Receipt{}, retry.Permanent(channel.ErrGone)
		})
		route := dispatcher.Route{Name: "r", Channel: &rec, Timeout: -1}
		b := start(t, route)
		b.dispatch(notes(1)...)
		synctest.Wait()
		route.Concurrency = 1
		b.setRoutes(route)
		advance(time.Hour)
		assert.True(t, b.status("r").Gone)
	})
}

// Only what differs is touched, and observers get the difference.
func TestUnchangedRoutesAreNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var changes []string
		names := func(routes []dispatcher.Route) (all []string) {
			for _, r := range routes {
				all = append(all, r.ID().String())
			}
			return all
		}
		b := setupWith(t, dispatcher.Config{Observers: []dispatcher.Observer{{RoutesChanged: func(c dispatcher.RouteChange) {
			changes = append(changes, fmt.Sprint("set ", names(c.Set), " replaced ", c.Replaced, " retried ", c.Retried, " removed ", c.Removed))
		}}}})
		b.run()
		rec := new(channeltest.Recorder)
		full := dispatcher.Route{Name: "full", Tenant: "a", Channel: rec, Events: event.Types("note.*"), Retry: retry.Fixed{Interval: time.Second},
			Timeout: time.Minute, Concurrency: 2, Order: dispatcher.BySubject, Dedup: channel.DedupOptions{Window: time.Hour, BreakGlass: true},
			Rate: dispatcher.Rate{Events: 1}, Backlog: dispatcher.Backlog{Jobs: 10}, MaxAge: time.Hour, Protect: dispatcher.Protection{DisableAfter: time.Hour, Fallback: "plain"}}
		plain := dispatcher.Route{Name: "plain", Tenant: "a", Channel: rec}
		wrapped := 0
		hosts := dispatcher.Route{Name: "hosts", Tenant: "a", Channel: rec, Use: []channel.Middleware{func(next channel.Channel) channel.Channel {
			wrapped++
			return next
		}}}
		b.setTenant("a", full, plain)
		b.setTenant("b", dispatcher.Route{Name: "plain", Tenant: "b", Channel: rec})
		spelled := plain // the defaults, spelled out
		spelled.Retry, spelled.Timeout, spelled.Concurrency, spelled.MaxAge = retry.Exponential{}, 30*time.Second, 4, 24*time.Hour
		b.setTenant("a", full, spelled)
		b.setTenant("a", full, plain, hosts)
		b.setTenant("a", full, plain, hosts) // functions cannot be compared
		assert.Equal(t, 2, wrapped)
		paused := plain
		paused.State = dispatcher.Paused
		b.setTenant("a", full, paused)
		plain.Channel = new(channeltest.Recorder)
		b.setTenant("a", full, plain)
		plain.State = dispatcher.Disabled
		b.setTenant("a", plain)
		full.Protect.Fallback, plain.State = "", dispatcher.Enabled
		b.setTenant("a", plain, full)
		b.setTenant("a", full, plain) // in another order
		b.setRoutes(full)
		assert.Equal(t, []string{
			"set [a/full a/plain] replaced [] retried [] removed []",
			"set [b/plain] replaced [] retried [] removed []",
			"set [a/hosts] replaced [] retried [] removed []",
			"set [a/hosts] replaced [] retried [] removed []",
			"set [a/plain] replaced [] retried [] removed [a/hosts]",
			"set [a/plain] replaced [a/plain] retried [] removed []",
			"set [a/plain] replaced [] retried [] removed [a/full]",
			"set [a/plain a/full] replaced [] retried [a/plain] removed []",
			"set [] replaced [] retried [] removed [a/plain b/plain]",
		}, changes)
	})
}

// list is a Channel that cannot be compared, and boxed one that says so only when it is.
type (
	list  []channel.Channel
	boxed struct{ inner any }
)

func (l list) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	return l[0].Send(ctx, d)
}

func (b boxed) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	return b.inner.(list).Send(ctx, d)
}

func TestChannelsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	rec := new(channeltest.Recorder)
	for name, c := range map[string]channel.Channel{"slice": list{rec}, "slice in an interface": boxed{list{rec}}, "function": channel.Func(rec.Send)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(channeltest.Delay(time.Minute))
				c := c
				switch c.(type) {
				case list:
					c = list{&rec}
				case boxed:
					c = boxed{list{&rec}}
				default:
					c = channel.Func(rec.Send)
				}
				route := dispatcher.Route{Name: "r", Channel: c, Retry: panicky{}, Timeout: -1}
				b := start(t, route)
				b.dispatch(notes(1)...)
				synctest.Wait()
				b.setRoutes(route)
				assert.Equal(t, time.Minute, time.Since(b.began), "it may be another one, so it is waited for")
				assert.Zero(t, b.status("r").Delivered, "and begins anew")
			})
		})
	}
}

// A Channel that routes of several tenants use is in use until the last of them has another one.
func TestSharedChannelIsWaitedForByItsLastUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := &slow{takes: time.Minute}
		route := func(tenant string) dispatcher.Route {
			return dispatcher.Route{Name: "r", Tenant: tenant, Channel: shared, Timeout: -1}
		}
		b := start(t, route("a"), route("b"))
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}))
		synctest.Wait()
		b.setTenant("a")
		assert.Zero(t, time.Since(b.began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		busy, ok := errors.AsType[*dispatcher.InUseError](b.SetTenant(ctx, "b", nil))
		require.True(t, ok)
		assert.Equal(t, []dispatcher.RouteID{{Tenant: "a", Name: "r"}}, busy.Routes, "whoever it sends for")
		b.setTenant("b", route("b"))
		assert.Equal(t, time.Second, time.Since(b.began), "it is used again")
		b.setTenant("b")
		assert.Equal(t, time.Minute, time.Since(b.began))
	})
}

func TestSetTenantThatCannotOpenItsLanes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		broken := errors.New("broken")
		q := &stuck{memoryqueue.New(memoryqueue.Options{}), "a/bad", broken}
		var open atomic.Int32
		var rec channeltest.Recorder
		good := func(name string) dispatcher.Route {
			return dispatcher.Route{Name: name, Tenant: "a", Channel: &rec}
		}
		b := setupWith(t, dispatcher.Config{Queue: countingStuck{counting{q.Queue, &open}, q}, Routes: []dispatcher.Route{good("r")}})
		b.run()
		synctest.Wait()
		before := open.Load()
		require.ErrorIs(t, b.SetTenant(t.Context(), "a", []dispatcher.Route{good("new"), good("bad")}), broken)
		assert.Equal(t, before, open.Load(), "no lane was left open")
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}))
		synctest.Wait()
		assert.Len(t, b.seen.settledOf("r"), 1, "the old set is in force")
		b.setTenant("a", good("r"), good("new"))
	})
}

// countingStuck is both.
type countingStuck struct {
	counting
	stuck *stuck
}

func (c countingStuck) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	if lane == c.stuck.name {
		return nil, c.stuck.err
	}
	return c.counting.Open(lane, o, h)
}

// A fallback is a route of the same tenant, or else one of the platform that is in force.
func TestFallbacksOfATenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var platform, own channeltest.Recorder
		siem := dispatcher.Route{Name: "siem", Tenant: dispatcher.AnyTenant, Channel: &platform, Events: event.Types("other.*")}
		failing := dispatcher.Route{Name: "r", Tenant: "a", Channel: &boxedPointer{refusing()}, Protect: fallback("siem")}
		b := start(t)
		dispatch := func(n int) {
			b.dispatch(newNote(n, event.Meta{Tenant: "a"}))
			synctest.Wait()
		}
		errs := configErrors(t, b.SetTenant(t.Context(), "a", []dispatcher.Route{failing}))
		require.Len(t, errs, 1)
		assert.Equal(t, "Routes[0].Protect.Fallback", errs[0].Path)

		b.setTenant(dispatcher.AnyTenant, siem)
		b.setTenant("a", failing)
		dispatch(1)
		assert.Len(t, platform.Deliveries(), 1)
		b.setTenant("a", failing, dispatcher.Route{Name: "siem", Tenant: "a", Channel: &own, Events: event.Types("other.*")})
		dispatch(2)
		assert.Len(t, platform.Deliveries(), 1)
		assert.Len(t, own.Deliveries(), 1, "its own comes first")
		b.setTenant("a", failing)
		b.setTenant(dispatcher.AnyTenant)
		dispatch(3)
		assert.EqualValues(t, 3, b.of("a", "r").Dead)
		assert.Contains(t, b.log.String(), "the fallback does not take a dead delivery")
	})
}

func TestSetTenantAndShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Tenant: "a", Channel: &slow{takes: time.Minute}, Timeout: -1})
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}))
		synctest.Wait()
		changed := make(chan error, 1)
		go func() { changed <- b.SetTenant(context.Background(), "a", nil) }()
		synctest.Wait()
		require.NoError(t, b.Shutdown(t.Context()))
		require.NoError(t, <-changed, "it was under way")
		require.ErrorIs(t, b.SetTenant(t.Context(), "a", nil), dispatcher.ErrShutdown)
	})
}

// Many tenants change their routes, some of whose receivers hang, fail or are gone: nothing is lost or doubled, and
// nobody gets anything of another.
func TestTenantsChangeTheirRoutesAllAtOnce(t *testing.T) {
	t.Parallel()
	const tenants, changes, events = 50, 10, 40
	received := make([]map[string]int, tenants)
	var mu sync.Mutex
	release := make(chan struct{})
	routes := func(i int) []dispatcher.Route {
		tenant := tenantOf(i)
		ok := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			received[i][d.Event.Tenant()+" "+d.Event.ID()]++
			return channel.Receipt{}, nil
		})
		bad := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			switch i % 3 {
			case 0:
				<-release
			case 1:
				return channel.Receipt{}, retry.Permanent(channel.ErrGone)
			}
			return channel.Receipt{}, errors.New("refused: " + d.Event.Tenant())
		})
		return []dispatcher.Route{{Name: "audit", Tenant: tenant, Channel: ok}, {Name: "bad", Tenant: tenant, Channel: bad, Timeout: -1}}
	}
	b := start(t)
	var wg sync.WaitGroup
	for i := range tenants {
		received[i] = map[string]int{}
		wg.Go(func() {
			for change := range changes {
				set := routes(i)
				for {
					ctx, cancel := context.WithCancel(context.Background())
					cancel() // nothing is waited for
					err := b.SetTenant(ctx, tenantOf(i), set)
					if busy, ok := errors.AsType[*dispatcher.InUseError](err); ok {
						for _, id := range busy.Routes {
							assert.Equal(t, tenantOf(i), id.Tenant)
						}
						break
					}
					if err == nil {
						break
					}
					assert.ErrorIs(t, err, context.Canceled, "another change was under way")
				}
				for n := range events / changes {
					e := newNote(n, event.Meta{ID: fmt.Sprintf("%d-%d-%d", i, change, n), Tenant: tenantOf(i)})
					assert.NoError(t, b.Dispatch(context.Background(), e))
				}
			}
		})
	}
	wg.Wait()
	require.Eventually(t, func() bool {
		for i := range tenants {
			if s := b.of(tenantOf(i), "audit"); s.Queued+s.InFlight > 0 {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
	close(release)
	b.setRoutes()
	for i := range tenants {
		assert.Len(t, received[i], events, "each of them once")
		for id, n := range received[i] {
			assert.Equal(t, 1, n, id)
			assert.True(t, strings.HasPrefix(id, tenantOf(i)+" "), id)
		}
	}
	for _, a := range b.seen.attempts {
		assert.Equal(t, a.Delivery.Event.Tenant(), a.Delivery.Route.Tenant)
	}
}

// What a host makes anew from its own configuration is what it was, if it says the same.
func TestRoutesMadeAnewAreNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var changed []dispatcher.RouteID
		b := setupWith(t, dispatcher.Config{Observers: []dispatcher.Observer{{RoutesChanged: func(c dispatcher.RouteChange) {
			for _, r := range c.Set {
				changed = append(changed, r.ID())
			}
		}}}})
		b.run()
		rec := new(channeltest.Recorder)
		routes := func() []dispatcher.Route {
			return []dispatcher.Route{
				{Name: "schedule", Tenant: "a", Channel: rec, Retry: retry.AtMost(2, retry.Schedule{0, time.Second, time.Minute})},
				{Name: "filter", Tenant: "a", Channel: rec, Events: event.All(event.Types("note.*"), event.Not(event.WithAttribute("test")))},
			}
		}
		for range 3 {
			b.setTenant("a", routes()...)
		}
		assert.Equal(t, []dispatcher.RouteID{{Tenant: "a", Name: "schedule"}, {Tenant: "a", Name: "filter"}}, changed)
	})
}
