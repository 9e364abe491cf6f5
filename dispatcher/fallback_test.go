package dispatcher_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
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

// refusing is a channel that takes nothing.
func refusing() channel.Channel {
	return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, retry.Permanent(errDown)
	})
}

func fallback(name string) dispatcher.Protection { return dispatcher.Protection{Fallback: name} }

func TestFallbackGetsDeadDeliveries(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	for name, tc := range map[string]struct {
		route dispatcher.Route
		want  []string
	}{
		"permanent failure": {dispatcher.Route{Channel: refusing()}, []string{"e-0", "e-1"}},
		"end of the policy": {dispatcher.Route{Channel: channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			return channel.Receipt{}, errDown
		}), Retry: retry.AtMost(3, retry.Fixed{Interval: time.Minute})}, []string{"e-0", "e-1"}},
		"too old": {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: hour}, MaxAge: time.Minute}, []string{"e-1"}},
		"dropped": {dispatcher.Route{Channel: new(channeltest.Recorder), State: dispatcher.Paused,
			Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}}, []string{"e-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				tc.route.Name, tc.route.Protect, tc.route.Concurrency = "r", fallback("second"), 1
				b := start(t, tc.route, dispatcher.Route{Name: "second", Channel: &rec, Events: event.Types("grant.*")})
				b.dispatch(notes(2)...)
				advance(2 * hour)
				assertIDs(t, tc.want, rec.Deliveries(), "whatever its filter says")
				assert.Equal(t, 1, rec.Deliveries()[0].Attempt, "a new delivery")
				assert.Equal(t, len(tc.want), b.seen.results("r")[dispatcher.Dead], "it is dead on the first route all the same")
				letters, err := b.DeadLetters(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("r")}})
				require.NoError(t, err)
				assert.Len(t, letters, len(tc.want))
			})
		})
	}
}

func TestFallbackChain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		none := event.Types("grant.*")
		b := start(t, dispatcher.Route{Name: "1", Channel: refusing(), Protect: fallback("2")},
			dispatcher.Route{Name: "2", Channel: refusing(), Protect: fallback("3"), Events: none},
			dispatcher.Route{Name: "3", Channel: &rec, Events: none})
		e := notes(1)[0]
		b.dispatch(e)
		synctest.Wait()
		assertIDs(t, []string{"e-0"}, rec.Deliveries())
		require.NoError(t, b.Redeliver(t.Context(), e, named("1")))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 2, "a redelivery on purpose is passed on again")
	})
}

// A fallback that wanted the event anyway, or gets it from two routes, gets it once.
func TestFallbackThatHadTheEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "1", Channel: refusing(), Protect: fallback("all")},
			dispatcher.Route{Name: "2", Channel: refusing(), Protect: fallback("all")},
			dispatcher.Route{Name: "all", Channel: &rec})
		b.dispatch(notes(3)...)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3)
	})
}

func TestFallbackThatCannotTakeIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		to     dispatcher.Route
		reason string
	}{
		"disabled": {dispatcher.Route{State: dispatcher.Disabled}, "is disabled; enable it first"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tc.to.Name, tc.to.Channel, tc.to.Events = "second", new(channeltest.Recorder), event.Types("grant.*")
				b := start(t, dispatcher.Route{Name: "r", Channel: refusing(), Events: event.Types("note.*"), Protect: fallback("second")}, tc.to)
				b.dispatch(newNote(1, event.Meta{ID: "lost"}))
				synctest.Wait()
				require.Equal(t, 1, b.seen.results("r")[dispatcher.Dead])
				var lines []map[string]any
				for _, line := range b.log.lines(t, slog.LevelError) {
					if line["msg"] == "tocsin: the fallback does not take a dead delivery" {
						lines = append(lines, line)
					}
				}
				require.Len(t, lines, 1)
				assert.Equal(t, tc.reason, lines[0]["reason"])
				assert.Equal(t, "second", lines[0]["fallback"])
				assert.Equal(t, "lost", lines[0]["event_id"])
			})
		})
	}
}

// What becomes dead while a shutdown drains still reaches the fallback, in whichever order the lanes are drained.
func TestShutdownDrainsFallbacks(t *testing.T) {
	t.Parallel()
	for range 10 { // the order is that of a map
		synctest.Test(t, func(t *testing.T) {
			var rec channeltest.Recorder
			b := start(t, dispatcher.Route{Name: "1", Channel: refusing(), Protect: fallback("2"), Rate: dispatcher.Rate{Events: 1}},
				dispatcher.Route{Name: "2", Channel: refusing(), Protect: fallback("3"), Events: event.Types("grant.*")},
				dispatcher.Route{Name: "3", Channel: &rec, Events: event.Types("grant.*")})
			b.dispatch(notes(5)...)
			synctest.Wait()
			require.NoError(t, b.Shutdown(t.Context()))
			assert.Len(t, rec.Deliveries(), 5)
		})
	}
}

// chained are n routes, each with the next one as its fallback.
func chained(n int) []dispatcher.Route {
	all := make([]dispatcher.Route, n)
	for i := range all {
		all[i] = dispatcher.Route{Name: strconv.Itoa(i), Channel: new(channeltest.Recorder)}
		if i+1 < n {
			all[i].Protect.Fallback = strconv.Itoa(i + 1)
		}
	}
	return all
}

func TestConfigErrorsOfProtection(t *testing.T) {
	t.Parallel()
	route := func(name string, p dispatcher.Protection) dispatcher.Route {
		return dispatcher.Route{Name: name, Channel: new(channeltest.Recorder), Protect: p}
	}
	theirs := route("theirs", dispatcher.Protection{})
	theirs.Tenant = "t"
	everybodys := route("all", fallback("r"))
	everybodys.Tenant = dispatcher.AnyTenant
	for name, tc := range map[string]struct {
		routes []dispatcher.Route
		want   []string
	}{
		"negative failures are off": {[]dispatcher.Route{route("r", dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: -1}})}, nil},
		"negative pause": {[]dispatcher.Route{route("r", dispatcher.Protection{Breaker: dispatcher.Breaker{MaxPause: -1}})},
			[]string{`dispatcher: Routes[0].Protect.Breaker.MaxPause of route "r" is negative; leave it out for the default of 15 min`}},
		"pauses": {[]dispatcher.Route{route("r", dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 1, Pause: time.Hour, MaxPause: time.Minute}})},
			[]string{`dispatcher: Routes[0].Protect.Breaker.MaxPause of route "r" is 1m, shorter than the first pause of 1h; raise it`}},
		"disable after": {[]dispatcher.Route{route("r", dispatcher.Protection{DisableAfter: -1})},
			[]string{`dispatcher: Routes[0].Protect.DisableAfter of route "r" is negative; leave it out for never`}},
		"unknown": {[]dispatcher.Route{route("r", fallback("nobody"))},
			[]string{`dispatcher: Routes[0].Protect.Fallback of route "r" is "nobody", which is no route; name a route of the same tenant, or of all tenants`}},
		"another tenant": {[]dispatcher.Route{route("r", fallback("theirs")), theirs},
			[]string{`dispatcher: Routes[0].Protect.Fallback of route "r" is "theirs", which is no route; name a route of the same tenant, or of all tenants`}},
		"the platform's to a tenant's": {[]dispatcher.Route{everybodys, route("r", dispatcher.Protection{})},
			[]string{`dispatcher: Routes[0].Protect.Fallback of route "all" is "r", which is no route; name a route of the same tenant, or of all tenants`}},
		"itself": {[]dispatcher.Route{route("r", fallback("r"))},
			[]string{`dispatcher: Routes[0].Protect.Fallback of route "r" is "r", which leads back here; end the chain of fallbacks somewhere`}},
		"a circle, and one that leads into it": {[]dispatcher.Route{route("in", fallback("1")), route("1", fallback("2")), route("2", fallback("1"))},
			[]string{`dispatcher: Routes[1].Protect.Fallback of route "1" is "2", which leads back here; end the chain of fallbacks somewhere`,
				`dispatcher: Routes[2].Protect.Fallback of route "2" is "1", which leads back here; end the chain of fallbacks somewhere`}},
		"a long chain": {chained(18),
			[]string{`dispatcher: Routes[0].Protect.Fallback of route "0" is "1", which has more than 16 fallbacks in turn; shorten the chain of fallbacks`}},
		"a chain": {chained(17), nil},
		"fine":    {[]dispatcher.Route{route("r", dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 1, Pause: time.Hour}, DisableAfter: 1, Fallback: "2"}), route("2", dispatcher.Protection{})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.New(dispatcher.Config{Routes: tc.routes})
			var got []string
			if err != nil {
				for _, each := range err.(interface{ Unwrap() []error }).Unwrap() {
					for _, bad := range configErrors(t, each) {
						got = append(got, bad.Error())
					}
				}
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestTestIgnoresTheFallback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Test(t.Context(), dispatcher.Route{Name: "unsaved", Channel: refusing(), Protect: fallback("not yet there")}, notes(1)[0])
	_, config := errors.AsType[*channel.ConfigError](err)
	assert.False(t, config)
	require.ErrorIs(t, err, errDown)
}

// An event about a route never goes to that route, whichever way it is asked to.
func TestEventAboutARouteNeverGoesThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		recorders := map[string]*channeltest.Recorder{}
		var routes []dispatcher.Route
		for _, r := range []dispatcher.Route{
			{Name: "mail", Events: event.Types("tocsin.*")}, {Name: "any", Tenant: dispatcher.AnyTenant, Events: event.Types("tocsin.*")},
			{Name: "one", Events: event.Types("tocsin.channel_failing")}, {Name: "lifecycle"},
			{Name: "not", Events: event.Any(event.Types("tocsin.*"), event.Not(event.Types("x.y")))},
		} {
			recorders[r.Name] = new(channeltest.Recorder)
			r.Channel = recorders[r.Name]
			routes = append(routes, r)
		}
		routes = append(routes, dispatcher.Route{Name: "fails", Events: event.Types("tocsin.*"), Channel: refusing(), Protect: fallback("any")})
		b := start(t, routes...)
		about := func(route string) event.Event {
			return event.Must(event.ChannelFailing{RouteFailure: event.RouteFailure{Route: route}}, event.Meta{})
		}
		got := func() map[string]int {
			synctest.Wait()
			n := map[string]int{}
			for name, rec := range recorders {
				n[name] = len(rec.Deliveries())
			}
			return n
		}
		b.dispatch(about("mail"), about("*/any"), about("one"), about("lifecycle"), about("elsewhere"), about("fails"))
		assert.Equal(t, map[string]int{"mail": 5, "any": 5, "one": 5, "lifecycle": 0, "not": 6}, got())
		b.schedule(0, "later", about("mail"))
		assert.Equal(t, map[string]int{"mail": 5, "any": 6, "one": 6, "lifecycle": 0, "not": 7}, got())
		require.NoError(t, b.Redeliver(t.Context(), about("mail")))
		assert.Equal(t, 5, got()["mail"])
		err := b.Redeliver(t.Context(), about("mail"), named("mail"))
		require.ErrorContains(t, err, `route "mail": is what the event is about`)

		b.setRoutes(routes[0])
		b.dispatch(about("mail"))
		assert.EqualValues(t, 1, b.Unrouted())
		assert.Equal(t, []dispatcher.Reason{dispatcher.NoType}, b.seen.unrouted)
		b.dispatch(event.Must(event.GrantActive{}, event.Meta{Subject: "mail"}))
		assert.Equal(t, 5, got()["mail"])
	})
}

// A lifecycle event may have a route's name as its subject.
func TestLifecycleEventWithARouteAsSubject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.dispatch(newNote(1, event.Meta{Subject: "r"}))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 1)
	})
}

// refusingQueue is a queue in memory that stores nothing for some lanes while it refuses.
type refusingQueue struct {
	*memoryqueue.Queue

	lane    string
	refuses atomic.Bool
	asked   atomic.Int64
}

var errDiskFull = errors.New("no space left on device")

func (q *refusingQueue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if jobs[0].Lane == q.lane {
		q.asked.Add(1)
		if q.refuses.Load() {
			return errDiskFull
		}
	}
	return q.Queue.Enqueue(ctx, jobs...)
}

// A delivery is over only when its fallback has it: while that has no room it waits, and is attempted no more.
func TestFallbackWithoutRoomGetsItLater(t *testing.T) {
	t.Parallel()
	tries := retry.AtMost(3, retry.Fixed{Interval: time.Second})
	for name, tc := range map[string]struct {
		route    dispatcher.Route
		attempts int
	}{
		"permanent failure": {dispatcher.Route{Channel: refusing()}, 1},
		"end of the policy": {dispatcher.Route{Channel: always(errDown), Retry: tries}, 3},
		"strict":            {dispatcher.Route{Channel: always(errDown), Retry: tries, Order: dispatcher.Strict}, 3},
		"too old":           {dispatcher.Route{Channel: always(errDown), Retry: tries, MaxAge: 10 * time.Second, Rate: dispatcher.Rate{Events: 1, Per: time.Minute}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := &refusingQueue{Queue: memoryqueue.New(memoryqueue.Options{}), lane: "second"}
				q.refuses.Store(true)
				var rec channeltest.Recorder
				tc.route.Name, tc.route.Protect = "r", fallback("second")
				b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{tc.route,
					{Name: "second", Channel: &rec, Events: event.Types("grant.*")}}})
				b.run()
				b.dispatch(notes(1)...)
				advance(3 * time.Hour)
				assert.Empty(t, b.seen.settledOf("r"), "it is not over")
				assert.Equal(t, 1, b.status("r").Queued)
				assert.Len(t, b.times("r"), tc.attempts)
				assert.Less(t, q.asked.Load(), int64(200), "it is asked at growing pauses")
				assert.Len(t, b.log.lines(t, slog.LevelWarn), 1)
				q.refuses.Store(false)
				advance(2 * time.Minute)
				assertIDs(t, []string{"e-0"}, rec.Deliveries())
				assert.Equal(t, 1, b.seen.results("r")[dispatcher.Dead])
				assert.Len(t, b.times("r"), tc.attempts, "nor is it attempted again")
				letters, err := b.DeadLetters(t.Context(), everyDead)
				require.NoError(t, err)
				require.Len(t, letters, 1)
				assert.Equal(t, tc.attempts, letters[0].Delivery.Attempt)
				assert.Zero(t, b.status("r").Queued)
			})
		})
	}
}

func TestFallbackWhoseBacklogIsFullGetsItLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		second := dispatcher.Route{Name: "second", Channel: &rec, Events: event.Types("grant.*"), State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1}}
		first := dispatcher.Route{Name: "r", Channel: refusing(), Events: event.Types("note.*"), Protect: fallback("second")}
		b := start(t, first, second)
		b.dispatch(event.Must(event.GrantActive{}, event.Meta{ID: "filler"}))
		b.dispatch(notes(3)...)
		advance(time.Hour)
		assert.Empty(t, b.seen.settledOf("r"))
		second.State = dispatcher.Enabled
		b.setRoutes(first, second)
		advance(time.Hour)
		assert.ElementsMatch(t, []string{"filler", "e-0", "e-1", "e-2"}, ids(rec.Deliveries()))
		assert.Equal(t, 3, b.seen.results("r")[dispatcher.Dead])
	})
}

// A process that ends before the fallback has a delivery leaves it in the queue, so that the next one passes it on.
func TestFallbackAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &refusingQueue{Queue: memoryqueue.New(memoryqueue.Options{}), lane: "second"}
		q.refuses.Store(true)
		var rec channeltest.Recorder
		config := dispatcher.Config{Queue: q, Routes: []dispatcher.Route{
			{Name: "r", Channel: refusing(), Protect: fallback("second")}, {Name: "second", Channel: &rec, Events: event.Types("grant.*")}}}
		b := setupWith(t, config)
		b.run()
		b.dispatch(notes(2)...)
		advance(time.Minute)
		b.abort(nil)
		<-b.ended
		q.refuses.Store(false)
		b = setupWith(t, config)
		b.run()
		advance(time.Hour)
		assert.ElementsMatch(t, []string{"e-0", "e-1"}, ids(rec.Deliveries()))
		assert.Equal(t, 2, b.seen.results("r")[dispatcher.Dead])
	})
}

// The fallback is the one of the moment; without one the delivery is over.
func TestFallbackThatChangesWhileADeadDeliveryWaits(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]string{"another one": "third", "none": ""} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := &refusingQueue{Queue: memoryqueue.New(memoryqueue.Options{}), lane: "second"}
				q.refuses.Store(true)
				var rec channeltest.Recorder
				routes := []dispatcher.Route{{Name: "r", Channel: refusing(), Protect: fallback("second")},
					{Name: "second", Channel: new(channeltest.Recorder), Events: event.Types("grant.*")},
					{Name: "third", Channel: &rec, Events: event.Types("grant.*")}}
				b := setupWith(t, dispatcher.Config{Queue: q, Routes: routes})
				b.run()
				b.dispatch(notes(1)...)
				advance(time.Minute)
				routes[0].Protect = fallback(to)
				b.setRoutes(routes...)
				advance(2 * time.Minute)
				assert.Equal(t, 1, b.seen.results("r")[dispatcher.Dead])
				assert.Len(t, rec.Deliveries(), len(to)/len("third"))
			})
		})
	}
}
