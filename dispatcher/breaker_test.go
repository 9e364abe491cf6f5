package dispatcher_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// breaking is a route whose breaker opens after three failures, for a minute at first and for five at most.
func breaking(c channel.Channel) dispatcher.Route {
	return dispatcher.Route{
		Name: "r", Channel: c, Concurrency: 1, Retry: retry.Fixed{Interval: time.Second},
		Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 3, Pause: time.Minute, MaxPause: 5 * time.Minute}},
	}
}

func failures(n int) []channeltest.Step {
	steps := make([]channeltest.Step, n)
	for i := range steps {
		steps[i] = channeltest.Fail(errDown)
	}
	return steps
}

func TestBreakerPausesTheLane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(failures(8)...)
		b := start(t, breaking(&rec), dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(10)...)
		synctest.Wait()
		s := b.status("r")
		assert.Equal(t, "breaker open", s.Condition())
		assert.True(t, s.OpenUntil.Equal(b.began.Add(time.Minute)), "%v", s.OpenUntil)
		assert.Equal(t, 10, s.Queued, "everything is kept")
		assert.Zero(t, s.InFlight, "and nobody sleeps in a worker")
		assert.Len(t, b.times("other"), 10)

		advance(time.Hour)
		const m = time.Minute
		times := b.times("r")
		// Three failures open it; then a probe each after 1, 2, 4 and twice 5 minutes, and the success of the sixth
		// lets all go.
		assert.Equal(t, []time.Duration{0, 0, 0, m, 3 * m, 7 * m, 12 * m, 17 * m, 22 * m}, times[:9])
		for _, at := range times[9:] {
			assert.Equal(t, 22*m, at)
		}
		assert.Len(t, times, 18, "ten deliveries and eight failures")
		s = b.status("r")
		assert.Equal(t, "enabled", s.Condition())
		assert.Zero(t, s.OpenUntil)
		assert.EqualValues(t, 10, s.Delivered)
		warns := b.log.lines(t, slog.LevelWarn)
		require.Len(t, warns, 6, "once each time it opens")
		assert.Equal(t, "tocsin: breaker is open", warns[0]["msg"])
		assert.EqualValues(t, time.Minute, warns[0]["pause"])
		assert.Len(t, b.log.lines(t, slog.LevelInfo), 1, "and once when it closes")
	})
}

// Without a breaker an outage kills everything whose policy allows few attempts; with one, only what the probes use up.
func TestBreakerSavesAttempts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failures int
		dead     int
	}{"off": {-1, 100}, "on": {5, 3}, "by default": {0, 3}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				var rec channeltest.Recorder
				outage := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					_, _ = rec.Send(ctx, d)
					if time.Since(began) < time.Hour {
						return channel.Receipt{}, errDown
					}
					return channel.Receipt{}, nil
				})
				b := start(t, dispatcher.Route{Name: "r", Channel: outage, Retry: retry.AtMost(4, retry.Fixed{Interval: time.Second}),
					Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: tc.failures}}})
				b.dispatch(notes(100)...)
				advance(2 * time.Hour)
				assert.LessOrEqual(t, b.seen.results("r")[dispatcher.Dead], tc.dead)
				if tc.failures < 0 {
					assert.Equal(t, 100, b.seen.results("r")[dispatcher.Dead])
				} else {
					assert.Less(t, int(b.status("r").Failed), 30)
				}
			})
		})
	}
}

func TestBreakerCountsTransientFailuresInARowOnly(t *testing.T) {
	t.Parallel()
	down, ok := channeltest.Fail(errDown), channeltest.Succeed(channel.Receipt{})
	for name, tc := range map[string]struct {
		script []channeltest.Step
		open   bool
	}{
		"three in a row":                   {[]channeltest.Step{down, down, down}, true},
		"two":                              {[]channeltest.Step{down, down}, false},
		"a success in between":             {[]channeltest.Step{down, down, ok, down, down, ok}, false},
		"permanent failures":               {[]channeltest.Step{channeltest.Fail(retry.Permanent(errDown)), channeltest.Fail(retry.Permanent(errDown)), channeltest.Fail(retry.Permanent(errDown))}, false},
		"postponed attempts":               {[]channeltest.Step{channeltest.Fail(retry.Postpone(errDown, time.Hour)), channeltest.Fail(retry.Postpone(errDown, time.Hour)), channeltest.Fail(retry.Postpone(errDown, time.Hour))}, false},
		"a permanent one in between":       {[]channeltest.Step{down, channeltest.Fail(retry.Permanent(errDown)), down, down}, true},
		"a panic counts as a failure, too": {[]channeltest.Step{down, down, channeltest.Panic("x")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(tc.script...)
				route := breaking(&rec)
				route.Retry = retry.Fixed{Interval: time.Hour}
				b := start(t, route)
				b.dispatch(notes(len(tc.script))...)
				synctest.Wait()
				assert.Len(t, rec.Deliveries(), len(tc.script))
				assert.Equal(t, tc.open, b.status("r").Condition() == "breaker open")
			})
		})
	}
}

// A probe that says nothing is followed by another one at once.
func TestBreakerProbeThatWasNotTried(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]channeltest.Step{
		"postponed": channeltest.Fail(retry.Postpone(errDown, time.Hour)),
		"permanent": channeltest.Fail(retry.Permanent(errDown)),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(append(failures(3), step, channeltest.Fail(errDown))...)
				b := start(t, breaking(&rec))
				b.dispatch(notes(6)...)
				advance(2 * time.Minute)
				const m = time.Minute
				assert.Equal(t, []time.Duration{0, 0, 0, m, m}, b.times("r"))
				assert.True(t, b.status("r").OpenUntil.Equal(b.began.Add(3*m)), "only the failed one doubles the pause")
			})
		})
	}
	t.Run("too old", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var rec channeltest.Recorder
			rec.Script(failures(3)...)
			route := breaking(&rec)
			route.MaxAge = 50 * time.Second
			b := start(t, route)
			b.dispatch(notes(3)...)
			advance(30 * time.Second)
			b.dispatch(newNote(9, event.Meta{ID: "young"}))
			advance(30 * time.Second)
			assert.Equal(t, 3, b.seen.results("r")[dispatcher.Dead], "they became dead in the pause")
			assert.Equal(t, 1, b.seen.results("r")[dispatcher.Delivered], "and the next one was the probe")
		})
	})
}

// Attempts that were under way when the breaker opened neither open it again nor lengthen the pause.
func TestBreakerStragglers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		late := func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(90 * time.Second)
			return channel.Receipt{}, errDown
		}
		rec.Script(late, late)
		rec.Script(failures(3)...)
		rec.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(time.Minute)
			return channel.Receipt{}, nil
		})
		route := breaking(&rec)
		route.Concurrency, route.Timeout = 5, -1
		b := start(t, route)
		b.dispatch(notes(8)[:5]...)
		advance(time.Second)
		b.dispatch(notes(8)[5:]...) // behind the failures, or one might begin between them
		advance(59 * time.Second)
		assert.Equal(t, 3, b.status("r").InFlight, "the stragglers, and one probe")
		advance(31 * time.Second)
		assert.Equal(t, 1, b.status("r").InFlight, "the probe still runs")
		advance(29 * time.Second)
		assert.Equal(t, "enabled", b.status("r").Condition())
		assert.EqualValues(t, 8, b.status("r").Delivered)
		assert.Len(t, b.log.lines(t, slog.LevelWarn), 1)
	})
}

func TestBreakerAndSetRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(failures(4)...)
		route := breaking(&rec)
		b := start(t, route)
		b.dispatch(notes(5)...)
		advance(10 * time.Second)
		assert.Len(t, rec.Deliveries(), 3)
		route.Timeout = time.Minute
		b.setRoutes(route)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3, "the destination is the same")
		b.retry(route)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 4, "a probe at once")
		assert.True(t, b.status("r").OpenUntil.Equal(b.began.Add(130*time.Second)), "whose failure doubles the pause")
		route.Protect.Breaker = dispatcher.Breaker{Failures: -1}
		b.setRoutes(route)
		advance(time.Second)
		assert.EqualValues(t, 5, b.status("r").Delivered, "switched off, it is closed")
	})
}

func TestBreakerWithRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(failures(4)...)
		route := breaking(&rec)
		route.Rate = dispatcher.Rate{Events: 1, Per: 10 * time.Second}
		b := start(t, route)
		b.dispatch(notes(5)...)
		advance(time.Hour)
		const s = time.Second
		assert.Equal(t, []time.Duration{0, 10 * s, 20 * s, 80 * s, 200 * s, 210 * s, 220 * s, 230 * s, 240 * s}, b.times("r"))
	})
}

// A shutdown does not wait for a destination that is down; what waits for it is reported.
func TestShutdownLeavesWhatABreakerHolds(t *testing.T) {
	t.Parallel()
	for name, during := range map[string]bool{"open before": false, "opens meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				fail := func(context.Context, channel.Delivery) (channel.Receipt, error) {
					if during {
						<-time.After(time.Second)
					}
					return channel.Receipt{}, errDown
				}
				rec.Script(fail, fail, fail)
				b := start(t, breaking(&rec))
				b.dispatch(notes(5)...)
				synctest.Wait()
				began := time.Now()
				err := b.Shutdown(t.Context())
				left, ok := errors.AsType[*dispatcher.ShutdownError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: 5}}, left.Left)
				assert.LessOrEqual(t, time.Since(began), 5*time.Second)
				assert.Len(t, rec.Deliveries(), 3)
			})
		})
	}
}

func TestDisableAfterPureFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		flaky := new(breakable)
		route := dispatcher.Route{Name: "r", Channel: flaky, Retry: retry.Fixed{Interval: 10 * time.Minute}, MaxAge: -1,
			Protect: dispatcher.Protection{DisableAfter: time.Hour}}
		b := start(t, route)
		all := notes(4)
		b.dispatch(all[0])
		advance(55 * time.Minute)
		flaky.fixed.Store(true)
		advance(5 * time.Minute)
		assert.Empty(t, b.seen.disabledRoutes(), "a success in time")
		flaky.fixed.Store(false)
		b.dispatch(all[1], all[2])
		advance(59 * time.Minute)
		assert.Empty(t, b.seen.disabledRoutes())
		advance(time.Minute)
		assert.Equal(t, []string{"r"}, b.seen.disabledRoutes(), "notified once")
		failing, ok := errors.AsType[*dispatcher.FailingError](b.seen.disabledFor()[0])
		require.True(t, ok)
		assert.True(t, failing.Since.Equal(b.began.Add(time.Hour)))
		require.ErrorIs(t, failing, errDown)
		s := b.status("r")
		assert.True(t, s.AutoDisabled)
		assert.Equal(t, "auto-disabled", s.Condition())
		assert.Equal(t, 2, s.Queued, "everything is kept")
		n := len(b.times("r"))
		advance(24 * time.Hour)
		assert.Len(t, b.times("r"), n, "nothing is tried")
		errs := b.log.lines(t, slog.LevelError)
		require.Len(t, errs, 1)
		assert.Equal(t, "no success since 2000-01-01T01:00:00Z: receiver is down", errs[0]["error"])

		b.setRoutes(route)
		assert.Equal(t, "auto-disabled", b.status("r").Condition(), "the destination is the same")
		b.retry(route)
		advance(30 * time.Minute)
		assert.Equal(t, "enabled", b.status("r").Condition(), "it has its time anew")
		advance(31 * time.Minute)
		assert.Equal(t, "auto-disabled", b.status("r").Condition())
		assert.True(t, b.status("r").FailingSince.Equal(b.began.Add(time.Hour)), "and forgets nothing")
		flaky.fixed.Store(true)
		b.retry(route)
		advance(time.Hour)
		assert.EqualValues(t, 3, b.status("r").Delivered)
		assert.Equal(t, "OK", b.status("r").Health())
	})
}

// A receiver that answers some events with a refusal is well: that says nothing about how long it has been failing.
func TestDisableAfterAndRefusals(t *testing.T) {
	t.Parallel()
	refused := channeltest.Fail(retry.Permanent(errDown))
	down := channeltest.Fail(errDown)
	for name, tc := range map[string]struct {
		steps    []channeltest.Step // an hour apart, of a delivery each
		disabled bool
	}{
		"two bad events":                           {[]channeltest.Step{refused, refused}, false},
		"nine bad events":                          {repeated(refused, 9), false},
		"nothing is taken at all":                  {repeated(refused, 10), true},
		"a success in between":                     {append(append(repeated(refused, 9), nil), repeated(refused, 9)...), false},
		"a bad event after a failure":              {[]channeltest.Step{down, refused}, false},
		"a bad event between two failures":         {[]channeltest.Step{down, refused, down}, true},
		"two events that failed transiently":       {[]channeltest.Step{down, down}, true},
		"a failure after many hours of bad events": {append(repeated(refused, 5), down), false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(tc.steps...)
				b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Never{}, Concurrency: 1,
					Protect: dispatcher.Protection{DisableAfter: time.Hour}})
				for _, e := range notes(len(tc.steps)) {
					b.dispatch(e)
					advance(time.Hour)
				}
				assert.Equal(t, tc.disabled, b.status("r").AutoDisabled)
			})
		})
	}
}

func repeated(s channeltest.Step, n int) []channeltest.Step {
	all := make([]channeltest.Step, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// A receiver that is well but for some events, however often these are tried, never opens the breaker that is on by
// default.
func TestBreakerByDefaultAndBadEvents(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]dispatcher.Order{"parallel": dispatcher.Parallel, "by subject": dispatcher.BySubject, "strict": dispatcher.Strict} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bad := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, errDown })
				b := start(t, dispatcher.Route{Name: "r", Channel: bad, Order: order, Retry: retry.Fixed{Interval: 5 * time.Second, For: time.Hour}})
				b.dispatch(notes(dispatcher.DefaultBreakerFailures - 1)...)
				advance(59 * time.Minute)
				assert.Equal(t, "enabled", b.status("r").Condition())
				perDelivery := map[string]int{}
				for _, a := range b.seen.attemptsOf("r") {
					perDelivery[a.Delivery.Event.ID()]++
				}
				assert.GreaterOrEqual(t, perDelivery["e-0"], 59*12, "its policy alone says when it is tried")
			})
		})
	}
}

// breakable is a channel that fails until it works.
type breakable struct{ fixed atomic.Bool }

func (b *breakable) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	if b.fixed.Load() {
		return channel.Receipt{}, nil
	}
	return channel.Receipt{}, errDown
}

// throttled answers as a receiver with a limit of its own, whatever it is asked for, and counts.
type throttled struct {
	rec   channeltest.Recorder
	pause time.Duration
	limit func() bool // whether it is over
}

func (c *throttled) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	_, _ = c.rec.Send(ctx, d)
	<-time.After(50 * time.Millisecond)
	if c.limit() {
		return channel.Receipt{}, nil
	}
	return channel.Receipt{}, retry.Throttle(errDown, c.pause)
}

// What a receiver says about itself holds the lane: 2,000 events do not ask 2,000 times.
func TestThrottleHoldsTheLane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		c := &throttled{pause: time.Minute, limit: func() bool { return time.Since(began) > 4*time.Minute }}
		b := start(t, dispatcher.Route{Name: "r", Channel: c}, dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(2000)...)
		advance(30 * time.Second)
		assert.Len(t, c.rec.Deliveries(), dispatcher.DefaultConcurrency)
		s := b.status("r")
		assert.Equal(t, "throttled", s.Condition())
		assert.True(t, s.ThrottledUntil.Equal(began.Add(time.Minute+50*time.Millisecond)), "%v", s.ThrottledUntil)
		assert.Zero(t, s.OpenUntil)
		assert.Zero(t, s.InFlight, "nobody sleeps in a worker")
		assert.Len(t, b.times("other"), 2000)
		for minute := range 3 {
			advance(time.Minute)
			assert.Len(t, c.rec.Deliveries(), dispatcher.DefaultConcurrency+minute+1, "one probe when the time is over")
		}
		advance(2 * time.Minute)
		s = b.status("r")
		assert.EqualValues(t, 2000, s.Delivered)
		assert.Equal(t, "enabled", s.Condition())
		assert.Empty(t, b.seen.results("r")[dispatcher.Dead])
	})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	ok := channeltest.Succeed(channel.Receipt{})
	throttle := func(d time.Duration) channeltest.Step { return channeltest.Fail(retry.Throttle(errDown, d)) }
	every := retry.Fixed{Interval: 2 * m}
	for name, tc := range map[string]struct {
		route  dispatcher.Route
		script []channeltest.Step
		want   []time.Duration
	}{
		"one probe, then all":              {dispatcher.Route{}, []channeltest.Step{throttle(m), throttle(m)}, []time.Duration{0, m, 2 * m, 2 * m, 2 * m, 2 * m}},
		"no time: the policy's pause":      {dispatcher.Route{Retry: every}, []channeltest.Step{throttle(0)}, []time.Duration{0, 2 * m, 2 * m, 2 * m, 2 * m}},
		"a shorter time than the policy's": {dispatcher.Route{Retry: every}, []channeltest.Step{throttle(s)}, []time.Duration{0, s, s, s, 2 * m}},
		"never for more than an hour":      {dispatcher.Route{}, []channeltest.Step{throttle(24 * h)}, []time.Duration{0, h, h, h, h}},
		"of a delivery that is dead":       {dispatcher.Route{Retry: retry.Never{}}, []channeltest.Step{throttle(m)}, []time.Duration{0, m, m, m}},
		"without a breaker": {dispatcher.Route{Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: -1}}},
			[]channeltest.Step{throttle(m)}, []time.Duration{0, m, m, m, m}},
		"it fits into what is left": {dispatcher.Route{MaxAge: 10 * m}, []channeltest.Step{throttle(h)}, []time.Duration{0, 9 * m, 9 * m, 9 * m, 9 * m}},
		"the probe fails otherwise": {dispatcher.Route{Retry: every}, []channeltest.Step{throttle(m), channeltest.Fail(errDown)},
			[]time.Duration{0, m, m, m, 2 * m, 3 * m}},
		"the probe is refused": {dispatcher.Route{Retry: every}, []channeltest.Step{throttle(m), channeltest.Fail(retry.Permanent(errDown)), ok},
			[]time.Duration{0, m, m, m, 2 * m}},
		"the probe says nothing": {dispatcher.Route{Retry: every}, []channeltest.Step{throttle(m), channeltest.Fail(retry.Postpone(errDown, h)), throttle(m)},
			[]time.Duration{0, m, m, 2 * m, 2 * m, 3 * m, h + m}},
		"and opens the breaker": {dispatcher.Route{Retry: every, Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 2, Pause: 3 * m}}},
			[]channeltest.Step{throttle(m), throttle(m)}, []time.Duration{0, m, 4 * m, 4 * m, 4 * m, 4 * m}},
		"and strict": {dispatcher.Route{Retry: every, Order: dispatcher.Strict}, []channeltest.Step{throttle(5 * m)},
			[]time.Duration{0, 5 * m, 5 * m, 5 * m, 5 * m}},
		"and a rate": {dispatcher.Route{Retry: every, Rate: dispatcher.Rate{Events: 1, Per: 10 * s}}, []channeltest.Step{throttle(m)},
			[]time.Duration{0, m, m + 10*s, m + 20*s, 2 * m}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(tc.script...)
				tc.route.Name, tc.route.Channel, tc.route.Concurrency = "r", &rec, 1
				if tc.route.Retry == nil {
					tc.route.Retry = retry.Fixed{Interval: s}
				}
				b := start(t, tc.route)
				b.dispatch(notes(4)...)
				advance(5 * h)
				assert.Equal(t, tc.want, b.times("r"))
				assert.Zero(t, b.status("r").Queued)
			})
		})
	}
}

// A success that was under way when the receiver asked for a pause does not lift that; SetRoutes lets a probe through.
func TestThrottleOutlivesAnEarlierSuccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(10 * time.Second)
			return channel.Receipt{}, nil
		}, channeltest.Fail(retry.Throttle(errDown, time.Hour)))
		route := dispatcher.Route{Name: "r", Channel: &rec, Concurrency: 2}
		b := start(t, route)
		b.dispatch(notes(5)...)
		advance(time.Minute)
		assert.EqualValues(t, 1, b.status("r").Delivered)
		assert.Equal(t, "throttled", b.status("r").Condition())
		assert.Len(t, rec.Deliveries(), 2)
		rec.Script(channeltest.Fail(retry.Throttle(errDown, time.Minute)))
		b.retry(route)
		advance(time.Second)
		assert.Len(t, rec.Deliveries(), 3, "a probe")
		advance(2 * time.Hour)
		assert.EqualValues(t, 5, b.status("r").Delivered)
	})
}
