package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// always is a channel that ends every attempt with err.
func always(err error) channel.Channel {
	return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, err })
}

// What receivers and channels ask for is heard, but does not cost the delivery: it gets another attempt before its end.
func TestPausesAskedForDoNotEndADelivery(t *testing.T) {
	t.Parallel()
	const m, h = time.Minute, time.Hour
	for name, tc := range map[string]struct {
		route    dispatcher.Route
		err      error
		from, to time.Duration // when the second attempt begins
	}{
		"a day":                             {dispatcher.Route{}, retry.Delay(errDown, 24*h), 23 * h, 24 * h},
		"milliseconds by mistake":           {dispatcher.Route{}, retry.Delay(errDown, 60_000_000*time.Second), 23 * h, 24 * h},
		"a day, of the whole destination":   {dispatcher.Route{}, retry.Throttle(errDown, 24*h), h, h},
		"as long as MaxAge":                 {dispatcher.Route{MaxAge: h}, retry.Delay(errDown, h), 54 * m, h},
		"as long as MaxAge, the whole":      {dispatcher.Route{MaxAge: h}, retry.Throttle(errDown, h), 54 * m, h},
		"an hour, with half an hour left":   {dispatcher.Route{MaxAge: 30 * m}, retry.Delay(errDown, h), 26 * m, 30 * m},
		"postponed for longer than MaxAge":  {dispatcher.Route{MaxAge: 30 * m}, retry.Postpone(errDown, h), 26 * m, 30 * m},
		"past the end of the policy":        {dispatcher.Route{Retry: retry.Within(15*m, retry.Exponential{})}, retry.Delay(errDown, 30*m), 13 * m, 15 * m},
		"past the end of the policy, whole": {dispatcher.Route{Retry: retry.Fixed{Interval: m, For: 15 * m}}, retry.Throttle(errDown, 30*m), 13 * m, 15 * m},
		"forever, without end":              {dispatcher.Route{MaxAge: -1}, retry.Delay(errDown, 26*h), 26 * h, 26 * h},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(channeltest.Fail(tc.err))
				tc.route.Name, tc.route.Channel = "r", &rec
				b := start(t, tc.route)
				b.dispatch(notes(1)...)
				advance(27 * h)
				times := b.times("r")
				require.Len(t, times, 2)
				assert.GreaterOrEqual(t, times[1], tc.from)
				assert.LessOrEqual(t, times[1], tc.to)
				assert.Equal(t, 1, b.seen.results("r")[dispatcher.Delivered])
			})
		})
	}
}

// Whatever is asked for, in whatever order: an attempt begins neither after MaxAge nor after the policy's end, and the
// delivery is dead only once the policy's own pause does not fit any more.
func TestPausesAskedForKeepTheEndOfThePolicy(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 3))
				upTo := func(d time.Duration) time.Duration { return 1 + time.Duration(r.Int64N(int64(d))) }
				interval := upTo(10 * time.Minute)
				maxAge, limit := upTo(8*time.Hour), upTo(8*time.Hour)
				route := dispatcher.Route{Name: "r", MaxAge: maxAge, Retry: retry.Fixed{Interval: interval},
					Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: -1}}}
				policy := r.IntN(2) == 0
				if policy {
					route.Retry, route.MaxAge = retry.Within(limit, retry.Fixed{Interval: interval}), -1
				}
				route.Channel = channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
					switch err := fmt.Errorf("asks: %w", errDown); r.IntN(4) {
					case 0:
						return channel.Receipt{}, err
					case 1:
						return channel.Receipt{}, retry.Delay(err, upTo(1000*time.Hour))
					case 2:
						return channel.Receipt{}, retry.Throttle(err, upTo(1000*time.Hour))
					default:
						return channel.Receipt{}, retry.Postpone(err, upTo(time.Hour))
					}
				})
				b := start(t, route)
				b.dispatch(notes(1)...)
				advance(20 * time.Hour)
				times := b.times("r")
				last, end := times[len(times)-1], maxAge
				if policy { // whose time counts from the first attempt that counts
					first := slices.IndexFunc(b.seen.attemptsOf("r"), func(a dispatcher.Attempt) bool { return a.Verdict == retry.VerdictTransient })
					end = times[first] + limit
				}
				assert.LessOrEqual(t, last, end)
				assert.Greater(t, last+max(interval, 100*time.Millisecond), end-5*time.Minute-end/10, "there was time for another one")
				assert.Equal(t, 1, b.seen.results("r")[dispatcher.Dead])
			})
		})
	}
}

// The promise is about when attempts begin, so it is looked at when one is to begin: a rate, an open breaker or a
// paused lane may have delayed it.
func TestNoAttemptBeginsAfterTheEndOfThePolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, p := range map[string]retry.Policy{
			"within":   retry.Within(15*time.Minute, retry.Fixed{Interval: 10 * time.Minute}),
			"fixed":    retry.Fixed{Interval: 10 * time.Minute, For: 15 * time.Minute},
			"attempts": retry.AtMost(5, retry.Within(15*time.Minute, retry.Fixed{Interval: 10 * time.Minute})),
		} {
			route := dispatcher.Route{Name: "r", Channel: always(errDown), Retry: p}
			b := start(t, route)
			b.dispatch(notes(1)...)
			advance(time.Minute)
			route.State = dispatcher.Paused
			b.setRoutes(route)
			advance(29 * time.Minute)
			route.State = dispatcher.Enabled
			b.setRoutes(route)
			advance(time.Hour)
			assert.Equal(t, []time.Duration{0}, b.times("r"), name)
			settled := b.seen.settledOf("r")
			require.Len(t, settled, 1)
			assert.Equal(t, "later than the retry policy's end, 15m after the first attempt", settled[0].Reason)
			assert.Equal(t, 1, settled[0].Delivery.Attempt)
		}
	})
}

// The schedules that known webhook services publish run to their end, with every attempt.
func TestPoliciesRunToTheirEnd(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, tc := range map[string]struct {
		policy   retry.Policy
		attempts int
	}{
		"eight steps":                {retry.Schedule{0, 5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 10 * h}, 8},
		"ten steps":                  {retry.Schedule{0, 5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 7 * h, 8 * h, 9 * h, 10 * h}, 10},
		"every hour for three days":  {retry.Fixed{Interval: h, For: 72 * h}, 73},
		"within three days":          {retry.Within(72*h, retry.Fixed{Interval: h}), 73},
		"a number of growing pauses": {retry.AtMost(120, retry.Exponential{Jitter: -1}), 120},
		"a number, with much jitter": {retry.AtMost(120, retry.Exponential{Jitter: 1}), 120},
		"shorter than a day":         {retry.Schedule{0, s}, 2},
		"and the default, for a day": {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var routes []dispatcher.Route
				b := setupWith(t, dispatcher.Config{Observers: []dispatcher.Observer{{RoutesChanged: func(c dispatcher.RouteChange) { routes = c.Set }}},
					Routes: []dispatcher.Route{{Name: "r", Channel: always(errDown), Retry: tc.policy}}})
				b.run()
				b.dispatch(notes(1)...)
				advance(75 * h)
				require.Equal(t, 1, b.seen.results("r")[dispatcher.Dead])
				if tc.attempts > 0 {
					assert.Len(t, b.times("r"), tc.attempts)
				}
				assert.GreaterOrEqual(t, routes[0].MaxAge, 24*h)
				if tc.policy == nil {
					assert.Equal(t, 24*h, routes[0].MaxAge)
				}
			})
		})
	}
}

func TestMaxAgeThatCutsThePolicy(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	for name, tc := range map[string]struct {
		policy retry.Policy
		maxAge time.Duration
		want   string
	}{
		"a schedule": {retry.Schedule{0, h, 24 * h}, 24 * h,
			`dispatcher: Routes[0].MaxAge of route "r" is 24h, which cuts the retry policy: that goes on for up to 25h; raise it, leave it out to follow the policy, or shorten the policy`},
		"a duration": {retry.Fixed{Interval: h, For: 72 * h}, 24 * h,
			`dispatcher: Routes[0].MaxAge of route "r" is 24h, which cuts the retry policy: that goes on for up to 72h; raise it, leave it out to follow the policy, or shorten the policy`},
		"as long as the plan":        {retry.Fixed{Interval: h, For: 72 * h}, 72 * h, ""},
		"forever":                    {retry.Fixed{Interval: h, For: 72 * h}, -1, ""},
		"a policy without end":       {retry.Exponential{}, time.Second, ""},
		"a policy of the host's":     {panicky{}, time.Second, ""},
		"a policy that panics asked": {panickyPlan{}, time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: always(nil), Retry: tc.policy, MaxAge: tc.maxAge}}})
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
		})
	}
}

type panickyPlan struct{ panicky }

func (panickyPlan) Span(int) (time.Duration, bool)  { panic("span") }
func (panickyPlan) Deadline() (time.Duration, bool) { panic("deadline") }

// A burst is a burst, however slow the rate: nothing overflows, and nothing stalls.
func TestBurstOfASlowRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Backlog: dispatcher.Backlog{Jobs: 200_000},
			Rate: dispatcher.Rate{Events: 1, Per: 24 * time.Hour, Burst: 150_000}})
		for i := range 150_001 {
			b.dispatch(newNote(i, event.Meta{}))
		}
		advance(23 * time.Hour)
		assert.EqualValues(t, 150_000, b.status("r").Delivered)
		advance(2 * time.Hour)
		assert.EqualValues(t, 150_001, b.status("r").Delivered)
	})
}
