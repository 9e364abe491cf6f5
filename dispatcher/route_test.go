package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

var errDown = errors.New("receiver is down")

// This file proves what the zero value of each field of Route means.

func TestTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hang := func() *channeltest.Recorder {
			var rec channeltest.Recorder
			rec.Script(channeltest.Hang())
			return &rec
		}
		b := start(t,
			dispatcher.Route{Name: "default", Channel: hang(), Retry: retry.Never{}},
			dispatcher.Route{Name: "own", Channel: hang(), Retry: retry.Never{}, Timeout: 7 * time.Second},
			dispatcher.Route{Name: "none", Channel: hang(), Retry: retry.Never{}, Timeout: -1})
		b.dispatch(notes(1)...)
		advance(10 * time.Hour)
		for route, want := range map[string]time.Duration{"default": 30 * time.Second, "own": 7 * time.Second} {
			attempts := b.seen.attemptsOf(route)
			require.Len(t, attempts, 1)
			assert.Equal(t, want, attempts[0].Duration)
			assert.Equal(t, retry.VerdictTransient, attempts[0].Verdict, "a timeout is a failure")
			require.ErrorIs(t, attempts[0].Err, context.DeadlineExceeded)
		}
		assert.Empty(t, b.seen.attemptsOf("none"))
		assert.Equal(t, 1, b.status("none").InFlight, "it still runs")
	})
}

func TestConcurrency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(time.Second)
			return channel.Receipt{}, nil
		})
		b := start(t, dispatcher.Route{Name: "default", Channel: slow}, dispatcher.Route{Name: "own", Channel: slow, Concurrency: 2},
			dispatcher.Route{Name: "strict", Channel: slow, Order: dispatcher.Strict, Concurrency: 9})
		synctest.Wait()
		b.dispatch(notes(10)...)
		synctest.Wait()
		assert.Equal(t, 4, b.status("default").InFlight)
		assert.Equal(t, 6, b.status("default").Queued)
		assert.Equal(t, 2, b.status("own").InFlight)
		assert.Equal(t, 1, b.status("strict").InFlight)
		advance(20 * time.Second)
		s := time.Second
		assert.Equal(t, []time.Duration{0, 0, 0, 0, s, s, s, s, 2 * s, 2 * s}, b.times("default"))
		assert.Equal(t, []time.Duration{0, 0, s, s, 2 * s, 2 * s, 3 * s, 3 * s, 4 * s, 4 * s}, b.times("own"))
	})
}

// downUntil fails until a time and then takes everything.
func downUntil(end time.Time, rec *channeltest.Recorder) channel.Channel {
	return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
		if time.Now().Before(end) {
			return channel.Receipt{}, errDown
		}
		return rec.Send(ctx, d)
	})
}

func TestReceiverThatIsDownForAnHourLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: downUntil(time.Now().Add(time.Hour), &rec)})
		all := notes(240)
		for _, e := range all {
			b.dispatch(e)
			advance(15 * time.Second)
		}
		advance(23 * time.Minute) // the longest pause, with the jitter of a half
		got := ids(rec.Deliveries())
		assert.Len(t, got, len(all))
		for _, e := range all {
			assert.Contains(t, got, e.ID())
		}
		assert.Zero(t, b.status("r").Dead)
		assert.Zero(t, b.status("r").Queued)
	})
}

func TestDefaultRetryUntilMaxAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		never := downUntil(time.Now().Add(1000*time.Hour), nil)
		b := start(t, dispatcher.Route{Name: "r", Channel: never})
		b.dispatch(notes(1)...)
		advance(25 * time.Hour)
		settled := b.seen.settledOf("r")
		require.Len(t, settled, 1)
		assert.Equal(t, dispatcher.Dead, settled[0].Outcome)
		assert.Contains(t, settled[0].Reason, "would be older than the route's MaxAge of 24h")
		require.ErrorIs(t, settled[0].Err, errDown)
		lasted := b.seen.settledAt[0].Sub(b.began)
		assert.LessOrEqual(t, lasted, 24*time.Hour)
		assert.Greater(t, lasted, 24*time.Hour-23*time.Minute, "it was tried as long as it could be")

		times := b.times("r")
		pause := time.Second
		for i := 1; i < len(times); i++ {
			gap := times[i] - times[i-1]
			assert.GreaterOrEqual(t, gap, pause/2, "attempt %d", i+1)
			assert.LessOrEqual(t, gap, pause*3/2+time.Millisecond, "attempt %d", i+1)
			pause = min(2*pause, 15*time.Minute)
		}
		assert.Len(t, times, settled[0].Delivery.Attempt)
	})
}

func TestMaxAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec, forever channeltest.Recorder
		routes := func(s dispatcher.State) []dispatcher.Route {
			return []dispatcher.Route{
				{Name: "minute", Channel: &rec, MaxAge: time.Minute, State: s, Concurrency: 1},
				{Name: "forever", Channel: &forever, MaxAge: -1, State: s, Concurrency: 1},
			}
		}
		b := start(t, routes(dispatcher.Paused)...)
		all := notes(3)
		b.dispatch(all[0])
		advance(time.Second)
		b.dispatch(all[1])
		advance(time.Minute - time.Second)
		b.dispatch(all[2])
		advance(time.Second)
		// Now they are 61 s, exactly 60 s and 1 s old.
		b.setRoutes(routes(dispatcher.Enabled)...)
		synctest.Wait()
		assertIDs(t, []string{"e-1", "e-2"}, rec.Deliveries(), "older than MaxAge is dead, as old is not")
		assertIDs(t, []string{"e-0", "e-1", "e-2"}, forever.Deliveries())
		settled := b.seen.settledOf("minute")
		assert.Equal(t, dispatcher.Dead, settled[0].Outcome)
		assert.Equal(t, "older than the route's MaxAge of 1m", settled[0].Reason)
		assert.NoError(t, settled[0].Err, "no attempt was made")
		assert.Zero(t, settled[0].Delivery.Attempt)
	})
}

// A retry that would come too late is not waited for.
func TestMaxAgeBeforeTheNextAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(slices.Repeat([]channeltest.Step{channeltest.Fail(errDown)}, 9)...)
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, MaxAge: time.Minute, Retry: retry.Fixed{Interval: 25 * time.Second}})
		b.dispatch(notes(1)...)
		advance(51 * time.Second)
		assert.Equal(t, []time.Duration{0, 25 * time.Second, 50 * time.Second}, b.times("r"))
		settled := b.seen.settledOf("r")
		require.Len(t, settled, 1)
		assert.Equal(t, "would be older than the route's MaxAge of 1m at attempt 4: receiver is down", settled[0].Reason)
	})
}

func TestDefaultsOfOrderDedupRateAndBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		route := dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Hour}}
		b := start(t, route)
		same := event.Meta{Subject: "s"}
		b.dispatch(newNote(1, same))
		synctest.Wait()
		b.dispatch(newNote(1, same), newNote(1, same))
		synctest.Wait()
		assert.Equal(t, 2, b.seen.results("r")[dispatcher.Delivered], "a failed delivery holds up none, and nothing is suppressed")

		for i := range 1000 {
			b.dispatch(newNote(i, event.Meta{}))
		}
		synctest.Wait()
		times := b.times("r")
		assert.Len(t, times, 1003)
		assert.Zero(t, times[1002], "no limit on the rate")

		route.State = dispatcher.Paused
		b.setRoutes(route)
		for i := range 9_999 { // and the one that waits for its retry
			b.dispatch(newNote(i, event.Meta{}))
		}
		require.ErrorAs(t, b.Dispatch(t.Context(), newNote(0, event.Meta{})), new(*dispatcher.BacklogError))
	})
}

func TestDefaultFilterIsEveryLifecycleEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Tenant: dispatcher.AnyTenant})
		want := map[event.Type]bool{}
		for _, typ := range event.Catalogue() {
			e, _ := event.Sample(typ)
			b.dispatch(e)
			if len(typ) < 7 || typ[:7] != "tocsin." {
				want[typ] = true
			}
		}
		synctest.Wait()
		got := map[event.Type]bool{}
		for _, d := range rec.Deliveries() {
			got[d.Event.Type()] = true
		}
		assert.Equal(t, want, got)
	})
}

func TestStates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t)
		set := func(s dispatcher.State) {
			b.setRoutes(dispatcher.Route{Name: "r", Channel: &rec, State: s, Concurrency: 1})
			assert.Equal(t, s, b.status("r").State)
		}
		all := notes(5)
		set(dispatcher.Paused)
		b.dispatch(all[0])
		advance(time.Hour)
		assert.Empty(t, rec.Deliveries(), "paused takes events and sends nothing")
		assert.Equal(t, 1, b.status("r").Queued)

		set(dispatcher.Disabled)
		b.dispatch(all[1])
		advance(time.Hour)
		assert.Empty(t, rec.Deliveries())
		assert.Equal(t, 1, b.status("r").Queued, "disabled takes none, and holds what was queued")
		assert.EqualValues(t, 1, b.Unrouted())

		set(dispatcher.Enabled)
		synctest.Wait()
		assertIDs(t, []string{"e-0"}, rec.Deliveries(), "what was held is delivered on enabling, what was not taken is not")
		b.dispatch(all[2])
		synctest.Wait()
		assertIDs(t, []string{"e-0", "e-2"}, rec.Deliveries())
	})
}

// Disabling also holds retries whose time comes meanwhile.
func TestDisabledHoldsRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		route := dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Minute}}
		b := start(t, route)
		b.dispatch(notes(1)...)
		advance(time.Second)
		route.State = dispatcher.Disabled
		b.setRoutes(route)
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 1)
		route.State = dispatcher.Enabled
		b.setRoutes(route)
		synctest.Wait()
		require.Len(t, rec.Deliveries(), 2)
		assert.Equal(t, 2, rec.Deliveries()[1].Attempt)
		assert.Equal(t, []time.Duration{0, time.Hour + time.Second}, b.times("r"))
	})
}

func TestUseWrapsInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var order []string
		tag := func(name string) channel.Middleware {
			return func(next channel.Channel) channel.Channel {
				return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					order = append(order, name)
					_, limited := ctx.Deadline()
					assert.True(t, limited, "middleware runs inside the timeout")
					return next.Send(ctx, d)
				})
			}
		}
		b := start(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Use: []channel.Middleware{tag("outer"), tag("inner")}})
		b.dispatch(notes(1)...)
		synctest.Wait()
		assert.Equal(t, []string{"outer", "inner"}, order)
	})
}

// Each attempt has a deadline of its own, exactly Timeout after it began. Its context is over when it has returned, and
// no other attempt's is.
func TestEachAttemptHasADeadlineOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var contexts []context.Context
		var long context.Context
		c := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			at, limited := ctx.Deadline()
			assert.True(t, limited)
			assert.Equal(t, 10*time.Second, time.Until(at))
			if d.Event.ID() == "e-0" {
				long = ctx
				<-ctx.Done()
				assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
				return channel.Receipt{}, nil
			}
			contexts = append(contexts, ctx)
			return channel.Receipt{}, nil
		})
		b := start(t, dispatcher.Route{Name: "r", Channel: c, Timeout: 10 * time.Second, Concurrency: 2})
		for i, e := range notes(4) {
			b.dispatch(e)
			advance(time.Millisecond)
			require.Len(t, contexts, i)
			require.NoError(t, long.Err(), "attempts that end meanwhile do not end this one")
		}
		for _, ctx := range contexts {
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		}
		b.setRoutes()
		assert.Equal(t, 10*time.Second, time.Since(b.began), "nor does a change of routes")
	})
}

func TestNamesOfEnumerations(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "enabled disabled paused unknown", fmt.Sprint(dispatcher.Enabled, " ", dispatcher.Disabled, " ", dispatcher.Paused, " ", dispatcher.State(9)))
	assert.Equal(t, "parallel by subject strict unknown", fmt.Sprint(dispatcher.Parallel, " ", dispatcher.BySubject, " ", dispatcher.Strict, " ", dispatcher.Order(9)))
	assert.Equal(t, "delivered skipped failed postponed dead", fmt.Sprint(dispatcher.Delivered, " ", dispatcher.Skipped, " ", dispatcher.Failed, " ", dispatcher.Postponed, " ", dispatcher.Dead))
}
