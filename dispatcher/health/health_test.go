package health_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Style 3: the failure mail goes out only after "alert after", is repeated every "resend" while the failure lasts, and
// is followed by one about the recovery.
func TestStyle3FailureMailOnlyAfterAlertAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(errDown)
		b := start(t, health.Options{Alert: health.Alert{After: 10 * m, Resend: 30 * m}},
			dispatcher.Route{Name: "hook", Channel: &hook, Order: dispatcher.Strict, Retry: retry.Fixed{Interval: 4 * m}},
			alertRoute("mail", &mail))
		e := b.dispatch("")
		advance(10*m - s)
		assert.Empty(t, b.news(&mail), "not yet")
		advance(s)
		assert.Equal(t, []string{"channel_failing hook @ 10m0s"}, b.news(&mail), "to the second, whenever the attempts are")
		assert.Equal(t, event.ChannelFailing{RouteFailure: event.RouteFailure{
			Route: "hook", Since: event.At(b.began), Attempts: 3, LastError: "receiver is down", FailedID: e.ID(), FailedType: "access.granted",
		}}, only[event.ChannelFailing](t, &mail))
		advance(61 * m)
		hook.fix()
		advance(h)
		assert.Equal(t, []string{
			"channel_failing hook @ 10m0s", "channel_failing hook @ 40m0s", "channel_failing hook @ 1h10m0s",
			"channel_recovered hook @ 1h12m0s",
		}, b.news(&mail))
		recovered := only[event.ChannelRecovered](t, &mail)
		assert.Equal(t, 18, recovered.Attempts)
		assert.True(t, recovered.Since.Equal(b.began))

		hook.fail(errDown)
		b.dispatch("")
		advance(10 * m)
		assert.Len(t, b.news(&mail), 5, "a new failure counts anew")
	})
}

// Style 3: no mail if the event succeeds first.
func TestStyle3NoFailureMailWhenItRecoversFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		b := start(t, health.Options{Alert: health.Alert{After: 10 * m}},
			dispatcher.Route{Name: "hook", Channel: &hook, Retry: retry.Fixed{Interval: m}}, alertRoute("mail", &mail))
		for range 5 { // nine minutes of failure each
			hook.fail(errDown)
			b.dispatch("")
			advance(9*m - s)
			hook.fix()
			advance(m)
		}
		advance(24 * h)
		assert.Empty(t, b.news(&mail), "neither failing nor recovered")
		assert.Len(t, hook.Deliveries(), 5*10)
	})
}

func TestAlertPerRouteWithADefaultForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mail channeltest.Recorder
		down := new(receiver)
		down.fail(errDown)
		routes := []dispatcher.Route{alertRoute("mail", &mail)}
		for _, name := range []string{"default", "early", "once", "at once", "off"} {
			routes = append(routes, dispatcher.Route{Name: name, Channel: down, Retry: retry.Fixed{Interval: m}})
		}
		b := start(t, health.Options{Routes: map[dispatcher.RouteID]health.Alert{
			named("early"): {After: 2 * m, Resend: 20 * m}, named("once"): {After: 3 * m, Resend: -1}, named("at once"): {After: -1, Resend: 24 * h}, named("off"): {Off: true},
		}}, routes...)
		b.dispatch("")
		advance(45 * m)
		assert.Equal(t, []string{
			"channel_failing at once @ 0s", "channel_failing early @ 2m0s", "channel_failing once @ 3m0s", "channel_failing default @ 5m0s",
			"channel_failing early @ 22m0s", "channel_failing early @ 42m0s",
		}, b.news(&mail))
		advance(20 * m)
		assert.Contains(t, b.news(&mail), "channel_failing default @ 1h5m0s", "an hour is the default pause")
	})
}

func TestSetChangesAlerts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(errDown)
		b := start(t, health.Options{}, dispatcher.Route{Name: "hook", Channel: &hook, Retry: retry.Fixed{Interval: m}}, alertRoute("mail", &mail))
		b.dispatch("")
		advance(m)
		b.monitor.Set(health.Alert{After: 2 * m, Resend: 24 * h}, nil)
		advance(9 * m)
		b.monitor.Set(health.Alert{}, map[dispatcher.RouteID]health.Alert{named("hook"): {After: m, Resend: 10 * m}})
		advance(3 * m)
		assert.Equal(t, []string{"channel_failing hook @ 2m0s", "channel_failing hook @ 12m0s"}, b.news(&mail))
		b.monitor.Set(health.Alert{Off: true}, nil)
		advance(h)
		hook.fix()
		advance(h)
		assert.Len(t, b.news(&mail), 2, "nothing more of a route that is off, its recovery included")
	})
}

func TestGoneDestinationIsReportedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(retry.Permanent(fmt.Errorf("hook was deleted: %w", channel.ErrGone)))
		route := dispatcher.Route{Name: "hook", Channel: &hook, Concurrency: 1}
		b := start(t, health.Options{Alert: health.Alert{After: 10 * m, Resend: h}}, route, alertRoute("mail", &mail))
		e := b.dispatch("")
		b.dispatch("")
		synctest.Wait()
		assert.Equal(t, event.ChannelDisabled{Reason: "hook was deleted: destination is gone", RouteFailure: event.RouteFailure{
			Route: "hook", Since: event.At(b.began), Attempts: 1, LastError: "hook was deleted: destination is gone", FailedID: e.ID(), FailedType: "access.granted",
		}}, only[event.ChannelDisabled](t, &mail))
		advance(2 * h)
		assert.Equal(t, []string{"channel_disabled hook @ 0s", "channel_failing hook @ 10m0s", "channel_failing hook @ 1h10m0s"}, b.news(&mail),
			"it is failing, too, and for good")
		for _, d := range mail.Deliveries() {
			assert.Contains(t, string(d.Event.Data()), "destination is gone", "each says why")
		}
		hook.fix()
		b.retry(route, alertRoute("mail", &mail))
		synctest.Wait()
		assert.Equal(t, "channel_recovered hook @ 2h0m0s", b.news(&mail)[3])
	})
}

// A destination that is gone and fixed before "alert after" was reported, so its recovery is, too.
func TestGoneDestinationThatIsCorrected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(channel.ErrGone)
		route := dispatcher.Route{Name: "hook", Channel: &hook}
		b := start(t, health.Options{}, route, alertRoute("mail", &mail))
		b.dispatch("")
		advance(m)
		hook.fix()
		b.retry(route, alertRoute("mail", &mail))
		advance(24 * h)
		assert.Equal(t, []string{"channel_disabled hook @ 0s", "channel_recovered hook @ 1m0s"}, b.news(&mail))
	})
}

func TestAutoDisabledRouteIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(errDown)
		b := start(t, health.Options{Alert: health.Alert{After: h, Resend: -1}}, alertRoute("mail", &mail), dispatcher.Route{
			Name: "hook", Channel: &hook, Retry: retry.Fixed{Interval: 10 * m}, Protect: dispatcher.Protection{DisableAfter: 30 * m}})
		b.dispatch("")
		advance(24 * h)
		assert.Equal(t, []string{"channel_disabled hook @ 30m0s", "channel_failing hook @ 1h0m0s"}, b.news(&mail))
		assert.Equal(t, "no success since 2000-01-01T00:00:00Z: receiver is down", only[event.ChannelDisabled](t, &mail).Reason)
	})
}

// While a breaker is open there are few attempts, and the alerts come all the same.
func TestAlertsOfARouteWhoseBreakerIsOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(errDown)
		b := start(t, health.Options{Alert: health.Alert{After: 20 * m, Resend: 20 * m}}, alertRoute("mail", &mail), dispatcher.Route{
			Name: "hook", Channel: &hook, Retry: retry.Never{},
			Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 2, Pause: 15 * m}}})
		for range 20 {
			b.dispatch("")
		}
		advance(81 * m)
		assert.Equal(t, []string{"channel_failing hook @ 20m0s", "channel_failing hook @ 40m0s", "channel_failing hook @ 1h0m0s", "channel_failing hook @ 1h20m0s"}, b.news(&mail))
	})
}

// The last event before a weekend without any becomes dead: that is reported, and once that nothing is left to fail,
// not every hour.
func TestFailingRouteWithNothingToSendIsReportedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook receiver
		var mail channeltest.Recorder
		hook.fail(retry.Permanent(errDown))
		b := start(t, health.Options{}, dispatcher.Route{Name: "hook", Channel: &hook}, alertRoute("mail", &mail))
		b.dispatch("")
		advance(48 * h)
		assert.Equal(t, []string{"channel_failing hook @ 5m0s", "channel_recovered hook @ 1h5m0s"}, b.news(&mail))
		assert.True(t, only[event.ChannelRecovered](t, &mail).Untried)
		b.dispatch("")
		advance(h)
		assert.Equal(t, "channel_failing hook @ 48h5m0s", b.news(&mail)[2], "a new failure")
	})
}

// What is not there any more does not fail: when the only retry was purged, that is the end of the failure, whatever
// the pause between reports. What still waits goes on being reported.
func TestFailureEndsWhenNothingWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		resend time.Duration
		purge  bool
		want   []string
	}{
		"purged":       {0, true, []string{"channel_failing hook @ 5m0s", "channel_recovered hook @ 1h5m0s"}},
		"purged, once": {-1, true, []string{"channel_failing hook @ 5m0s", "channel_recovered hook @ 1h5m0s"}},
		"still waits": {0, false, []string{
			"channel_failing hook @ 5m0s", "channel_failing hook @ 1h5m0s", "channel_failing hook @ 2h5m0s",
		}},
		"still waits, once": {-1, false, []string{"channel_failing hook @ 5m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var hook receiver
				var mail channeltest.Recorder
				hook.fail(errDown)
				b := start(t, health.Options{Alert: health.Alert{Resend: tc.resend}}, alertRoute("mail", &mail),
					dispatcher.Route{Name: "hook", Channel: &hook, Retry: retry.Schedule{0, m, 10 * h, 10 * h}})
				b.dispatch("")
				advance(2 * m)
				if tc.purge {
					n, err := b.Purge(t.Context(), named("hook"))
					require.NoError(t, err)
					require.Equal(t, 1, n)
				}
				advance(2*h + 30*m)
				assert.Equal(t, tc.want, b.news(&mail))
			})
		})
	}
}

// Attempts that say nothing about the destination neither begin a failure nor end one.
func TestPostponedAndSkippedAreNoFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook, mail channeltest.Recorder
		later := channeltest.Fail(retry.Postpone(errDown, h))
		hook.Script(later, later, later, nil)
		b := start(t, health.Options{Alert: health.Alert{After: -1}},
			dispatcher.Route{Name: "hook", Channel: &hook, Retry: retry.Fixed{Interval: m}, Dedup: channel.DedupOptions{Window: 24 * h}}, alertRoute("mail", &mail))
		b.dispatch("")
		advance(3 * h)
		assert.Empty(t, b.news(&mail))
		assert.Len(t, hook.Deliveries(), 4)
		hook.Script(channeltest.Fail(errDown))
		e := event.Must(event.GrantActive{}, event.Meta{})
		require.NoError(t, b.Dispatch(t.Context(), e))
		synctest.Wait()
		b.dispatch("") // suppressed
		synctest.Wait()
		assert.Len(t, b.news(&mail), 1, "the duplicate is no recovery")
		advance(m)
		assert.Equal(t, "channel_recovered hook @ 3h1m0s", b.news(&mail)[1])
	})
}

// Style 2: events about a tenant's route reach that tenant and the platform, and nobody else.
func TestStyle2AlertsHaveTheTenantOfTheFailingRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := new(receiver)
		down.fail(errDown)
		own := event.Types("tocsin.*")
		var a, c, none, platform channeltest.Recorder
		b := start(t, health.Options{Alert: health.Alert{After: -1, Dead: true}},
			dispatcher.Route{Name: "hook of a", Tenant: "a", Channel: down, Retry: retry.Never{}},
			dispatcher.Route{Name: "hook of all", Tenant: dispatcher.AnyTenant, Channel: down, Retry: retry.Never{}},
			dispatcher.Route{Name: "mail of a", Tenant: "a", Channel: &a, Events: own},
			dispatcher.Route{Name: "mail of c", Tenant: "c", Channel: &c, Events: own},
			dispatcher.Route{Name: "mail of none", Channel: &none, Events: own},
			dispatcher.Route{Name: "mail of all", Tenant: dispatcher.AnyTenant, Channel: &platform, Events: own})
		b.dispatch("a")
		synctest.Wait()
		assert.ElementsMatch(t, []string{"channel_failing a/hook of a @ 0s", "delivery_dead a/hook of a @ 0s"}, b.news(&a))
		assert.ElementsMatch(t, []string{"channel_failing */hook of all @ 0s", "delivery_dead */hook of all @ 0s"}, b.news(&none),
			"the platform's own routes are no tenant's business")
		assert.Empty(t, b.news(&c))
		assert.Len(t, b.news(&platform), 4)
	})
}

// Two routes for alerts that fail report each other, at the pace of their alerts and no faster, and never themselves.
func TestAlertRoutesThatFailDoNotLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := new(receiver), new(receiver)
		one.fail(errDown)
		two.fail(errDown)
		first, second := alertRoute("one", one), alertRoute("two", two)
		first.Retry, second.Retry = retry.Never{}, retry.AtMost(2, retry.Fixed{Interval: m})
		b := start(t, health.Options{Alert: health.Alert{After: 10 * m, Resend: h, Dead: true}}, first, second,
			dispatcher.Route{Name: "hook", Channel: one, Retry: retry.Never{}})
		b.dispatch("")
		advance(24 * h)
		assert.Less(t, len(one.Deliveries())+len(two.Deliveries()), 200)
		for name, r := range map[string]*receiver{"one": one, "two": two} {
			assert.NotEmpty(t, r.Deliveries(), "%s gets the alerts about the others", name)
			for _, d := range r.Deliveries() {
				assert.NotEqual(t, d.Route.String(), d.Event.Subject(), "about itself")
				if dead, err := event.Decode[event.DeliveryDead](d.Event); err == nil {
					assert.Equal(t, event.Type("access.granted"), dead.FailedType, "a dead alert is not reported")
				}
			}
		}
		two.fix()
		advance(2 * h)
		assert.Contains(t, fmt.Sprint(b.news(&two.Recorder)), "channel_failing */one", "and the one that works again hears of the other")
	})
}

// The only route for alerts fails: nobody can be notified, and nothing piles up.
func TestTheOnlyAlertRouteFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mail := new(receiver)
		mail.fail(errDown)
		route := alertRoute("mail", mail)
		route.Events = event.Any(event.Types("tocsin.*"), event.Types("*"))
		route.Retry = retry.Fixed{Interval: m}
		b := start(t, health.Options{Alert: health.Alert{After: m, Resend: m, Dead: true}}, route)
		b.dispatch("")
		advance(6 * h)
		for _, d := range mail.Deliveries() {
			assert.Equal(t, event.Type("access.granted"), d.Event.Type())
		}
		routes, err := b.Status(t.Context(), dispatcher.StatusFilter{})
		require.NoError(t, err)
		assert.Equal(t, 1, routes[0].Queued)
	})
}

func TestDeliveryDeadOnRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var hook, mail, full channeltest.Recorder
		hook.Script(channeltest.Fail(errDown), channeltest.Fail(retry.Permanent(errors.New("400 bad request"))), channeltest.Fail(errDown), nil)
		b := start(t, health.Options{Routes: map[dispatcher.RouteID]health.Alert{named("hook"): {Dead: true}, {Tenant: "u", Name: "full"}: {Dead: true}}},
			dispatcher.Route{Name: "hook", Channel: &hook, Retry: retry.Fixed{Interval: m}},
			dispatcher.Route{Name: "silent", Channel: &hook, Tenant: "t", Retry: retry.Never{}},
			dispatcher.Route{Name: "full", Channel: &full, Tenant: "u", State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}},
			alertRoute("mail", &mail))
		e := b.dispatch("")
		advance(m)
		dead := only[event.DeliveryDead](t, &mail)
		assert.Equal(t, event.DeliveryDead{
			RouteFailure: event.RouteFailure{Route: "hook", Since: event.At(b.began), Attempts: 2, LastError: "400 bad request", FailedID: e.ID(), FailedType: "access.granted"},
			DeliveryID:   channel.Delivery{Event: e, Route: channel.RouteID{Name: "hook"}}.ID(), Reason: "permanent failure: 400 bad request",
		}, dead)
		b.dispatch("t")
		synctest.Wait()
		assert.Len(t, b.news(&mail), 1, "only where it was asked for")
		b.dispatch("u")
		b.dispatch("u")
		synctest.Wait()
		require.Len(t, b.news(&mail), 2)
		assert.Contains(t, string(mail.Deliveries()[1].Event.Data()), `"reason":"dropped: the backlog was full"`, "also what was never tried")
	})
}

func TestRoutesThatChange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*dispatcher.Route)
		want   []string
	}{
		"replaced by the same": {func(*dispatcher.Route) {}, []string{"channel_failing hook @ 10m0s", "channel_failing hook @ 1h10m0s"}},
		"disabled":             {func(r *dispatcher.Route) { r.State = dispatcher.Disabled }, nil},
		"paused":               {func(r *dispatcher.Route) { r.State = dispatcher.Paused }, nil},
		"renamed":              {func(r *dispatcher.Route) { r.Name = "other" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hook := new(receiver)
				hook.fail(errDown)
				var mail channeltest.Recorder
				route := dispatcher.Route{Name: "hook", Channel: hook, Retry: retry.Fixed{Interval: m}}
				b := start(t, health.Options{Alert: health.Alert{After: 10 * m, Resend: h}}, route, alertRoute("mail", &mail))
				b.dispatch("")
				advance(5 * m)
				changed := route
				tc.change(&changed)
				b.setRoutes(changed, alertRoute("mail", &mail))
				advance(2 * h)
				assert.Equal(t, tc.want, b.news(&mail))
				if changed.State != dispatcher.Enabled {
					b.setRoutes(route, alertRoute("mail", &mail))
					synctest.Wait()
					assert.Equal(t, []string{"channel_failing hook @ 2h5m0s"}, b.news(&mail), "enabled again, it still fails, and has for long")
				}
			})
		})
	}
}

// What cannot be dispatched is logged, and tried again; an alert that one lane has no room for does not hold up others.
func TestAlertsThatCannotBeDispatched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec dispatchertest.Recorder
		full := &dispatcher.BacklogError{Lanes: []string{"mail"}}
		rec.Fail(errors.New("disk is full"), errors.New("disk is full"), nil, full)
		log := new(logbook)
		monitor := health.New(health.Options{Alert: health.Alert{After: -1, Resend: -1}, Logger: newLogger(log)})
		o := monitor.Observer()
		o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{{Name: "a"}, {Name: "b"}}})
		ran := make(chan error)
		ctx, stop := context.WithCancel(t.Context())
		go func() { ran <- monitor.Run(ctx, &rec) }()
		failed := func(route string) {
			o.Attempted(dispatcher.Attempt{Delivery: channel.Delivery{Route: channel.RouteID{Name: route}, Event: event.Must(access{}, event.Meta{})},
				Err: errDown, Verdict: retry.VerdictTransient, Began: time.Now()})
		}
		synctest.Wait()
		failed("a")
		synctest.Wait()
		assert.Empty(t, rec.Events())
		advance(10 * s)
		assert.Empty(t, rec.Events())
		advance(10 * s)
		assert.Len(t, rec.Events(), 1, "the third time it went")
		failed("b")
		advance(h)
		assert.Len(t, rec.Events(), 1, "the lanes with room have it")
		assert.Equal(t, 3, log.count(t, "tocsin: an alert could not be dispatched"))
		stop()
		require.ErrorIs(t, <-ran, context.Canceled)

		for range 1005 {
			o.Disabled(dispatcher.Disablement{Route: named("a"), Reason: errDown}) // nobody runs: the outbox fills up
		}
		go func() { ran <- monitor.Run(t.Context(), &rec) }()
		synctest.Wait()
		assert.Len(t, rec.Events(), 1001)
		assert.Equal(t, 1, log.count(t, "tocsin: alerts were lost: too many waited"))
		rec.Fail(dispatcher.ErrShutdown)
		o.Disabled(dispatcher.Disablement{Route: named("a"), Reason: errDown})
		require.NoError(t, <-ran, "nothing more can be said")
	})
}

// The monitor's part in a healthy attempt.
func BenchmarkHealthyAttempt(b *testing.B) {
	monitor := health.New(health.Options{})
	o := monitor.Observer()
	o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{{Name: "r"}}})
	a := dispatcher.Attempt{Delivery: channel.Delivery{Route: channel.RouteID{Name: "r"}}, Verdict: retry.VerdictSuccess}
	b.ReportAllocs()
	for b.Loop() {
		o.Attempted(a)
	}
}

// A tenant's alerts change by themselves, and alerts about others' routes do not count.
func TestSetTenantChangesAlertsOfOneTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mail channeltest.Recorder
		down := new(receiver)
		down.fail(errDown)
		routes := []dispatcher.Route{alertRoute("mail", &mail)}
		for _, tenant := range []string{"a", "b"} {
			routes = append(routes, dispatcher.Route{Name: "hook", Tenant: tenant, Channel: down, Retry: retry.Fixed{Interval: m}})
		}
		off := health.Alert{Off: true}
		hook := func(tenant string) dispatcher.RouteID { return dispatcher.RouteID{Tenant: tenant, Name: "hook"} }
		b := start(t, health.Options{Alert: off, Routes: map[dispatcher.RouteID]health.Alert{hook("a"): {After: 2 * m, Resend: -1}}}, routes...)
		b.dispatch("a")
		b.dispatch("b")
		advance(m)
		b.monitor.SetTenant("b", map[dispatcher.RouteID]health.Alert{hook("b"): {After: 3 * m, Resend: -1}, hook("a"): off})
		advance(4 * m)
		assert.Equal(t, []string{"channel_failing a/hook @ 2m0s", "channel_failing b/hook @ 3m0s"}, b.news(&mail))
		b.monitor.SetTenant("b", nil)
		down.fix()
		advance(h)
		assert.Equal(t, []string{"channel_failing a/hook @ 2m0s", "channel_failing b/hook @ 3m0s", "channel_recovered a/hook @ 6m0s"}, b.news(&mail))
	})
}

// A route that gets another channel before its failure was reported begins anew.
func TestFailureOfAReplacedChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mail channeltest.Recorder
		first, second := new(receiver), new(receiver)
		first.fail(errDown)
		second.fail(errDown)
		route := dispatcher.Route{Name: "hook", Channel: first, Retry: retry.Fixed{Interval: m}}
		b := start(t, health.Options{Alert: health.Alert{After: 10 * m, Resend: -1}}, route, alertRoute("mail", &mail))
		b.dispatch("")
		advance(9*m + s)
		route.Channel = second
		b.setRoutes(route, alertRoute("mail", &mail))
		advance(10*m - s)
		assert.Empty(t, b.news(&mail))
		advance(m)
		assert.Equal(t, []string{"channel_failing hook @ 20m0s"}, b.news(&mail), "ten minutes after the first failure of the new one")
		route.Channel = new(receiver)
		b.setRoutes(route, alertRoute("mail", &mail))
		advance(m)
		assert.Len(t, b.news(&mail), 2, "a failure that was reported is followed by its end")
	})
}

// What is heard of a route after it was removed leaves nothing.
func TestAttemptOfARemovedRoute(t *testing.T) {
	t.Parallel()
	monitor := health.New(health.Options{Alert: health.Alert{After: -1}})
	o := monitor.Observer()
	o.RoutesChanged(dispatcher.RouteChange{Set: []dispatcher.Route{{Name: "r"}}})
	o.RoutesChanged(dispatcher.RouteChange{Removed: []dispatcher.RouteID{named("r")}})
	o.Attempted(dispatcher.Attempt{Delivery: channel.Delivery{Route: named("r"), Event: event.Must(access{}, event.Meta{})}, Err: errDown, Verdict: retry.VerdictTransient})
	var rec dispatchertest.Recorder
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, monitor.Run(ctx, &rec), context.Canceled)
	assert.Empty(t, rec.Events())
}
