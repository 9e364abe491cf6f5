package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	fail := func(err error) channeltest.Step { return channeltest.Fail(err) }
	three := retry.AtMost(3, retry.Fixed{Interval: s})
	for name, tc := range map[string]struct {
		policy   retry.Policy
		script   []channeltest.Step
		times    []time.Duration
		attempts []int // the numbers the channel saw
		verdict  retry.Verdict
		result   dispatcher.Outcome
		reason   string
	}{
		"success": {three, nil, []time.Duration{0}, []int{1}, retry.VerdictSuccess, dispatcher.Delivered, ""},
		"transient": {three, []channeltest.Step{fail(errDown), fail(errDown)},
			[]time.Duration{0, s, 2 * s}, []int{1, 2, 3}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"policy gives up": {three, []channeltest.Step{fail(errDown), fail(errDown), fail(errDown)},
			[]time.Duration{0, s, 2 * s}, []int{1, 2, 3}, retry.VerdictTransient, dispatcher.Dead, "retries exhausted after attempt 3: receiver is down"},
		"exponential": {retry.Exponential{Jitter: -1}, []channeltest.Step{fail(errDown), fail(errDown), fail(errDown), fail(errDown)},
			[]time.Duration{0, s, 3 * s, 7 * s, 15 * s}, []int{1, 2, 3, 4, 5}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"elapsed time since the first attempt": {retry.Within(5*s, retry.Fixed{Interval: 2 * s}), []channeltest.Step{fail(errDown), fail(errDown), fail(errDown)},
			[]time.Duration{0, 2 * s, 4 * s}, []int{1, 2, 3}, retry.VerdictTransient, dispatcher.Dead, "retries exhausted after attempt 3: receiver is down"},
		"permanent": {three, []channeltest.Step{fail(retry.Permanent(errDown))},
			[]time.Duration{0}, []int{1}, retry.VerdictPermanent, dispatcher.Dead, "permanent failure: receiver is down"},
		"longer wish of the receiver": {three, []channeltest.Step{fail(retry.Delay(errDown, 90*s))},
			[]time.Duration{0, 90 * s}, []int{1, 2}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"shorter wish of the receiver": {three, []channeltest.Step{fail(retry.Delay(errDown, s/2))},
			[]time.Duration{0, s}, []int{1, 2}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"postponed is not counted": {retry.Never{}, []channeltest.Step{fail(retry.Postpone(errDown, 5*s)), fail(retry.Postpone(errDown, s))},
			[]time.Duration{0, 5 * s, 6 * s}, []int{1, 1, 1}, retry.VerdictPostponed, dispatcher.Delivered, ""},
		"postponed without a time": {retry.Never{}, []channeltest.Step{fail(retry.Postpone(errDown, 0))},
			[]time.Duration{0, s / 10}, []int{1, 1}, retry.VerdictPostponed, dispatcher.Delivered, ""},
		"panic": {three, []channeltest.Step{channeltest.Panic("boom")},
			[]time.Duration{0, s}, []int{1, 2}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"panicking policy": {panicky{}, []channeltest.Step{fail(retry.Delay(errDown, 2*s))},
			[]time.Duration{0, 2 * s}, []int{1, 2}, retry.VerdictTransient, dispatcher.Delivered, ""},
		"negative pause of a policy": {negative{}, []channeltest.Step{fail(errDown)},
			[]time.Duration{0, 0}, []int{1, 2}, retry.VerdictTransient, dispatcher.Delivered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				rec.Script(tc.script...)
				b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Retry: tc.policy})
				b.dispatch(notes(1)...)
				advance(time.Hour)
				assert.Equal(t, tc.times, b.times("r"))
				var numbers []int
				first := rec.Deliveries()[0].ID()
				for _, d := range rec.Deliveries() {
					numbers = append(numbers, d.Attempt)
					assert.Equal(t, first, d.ID(), "the idempotency key is that of every attempt")
				}
				assert.Equal(t, tc.attempts, numbers)
				attempts := b.seen.attemptsOf("r")
				assert.Equal(t, tc.verdict, attempts[0].Verdict)
				for i, a := range attempts[:len(attempts)-1] {
					assert.Equal(t, tc.times[i+1]-tc.times[i], a.Next)
				}
				settled := b.seen.settledOf("r")
				require.Len(t, settled, 1, "a delivery ends once")
				assert.Equal(t, tc.result, settled[0].Outcome)
				assert.Equal(t, tc.reason, settled[0].Reason)

				letters, err := b.DeadLetters(t.Context(), everyDead)
				require.NoError(t, err)
				if tc.result != dispatcher.Dead {
					assert.Empty(t, letters)
					assert.Empty(t, b.log.lines(t, slog.LevelError))
					return
				}
				require.Len(t, letters, 1)
				assert.Equal(t, tc.reason, letters[0].Reason)
				assert.Equal(t, len(tc.times), letters[0].Delivery.Attempt, "the last attempt counts")
				assert.True(t, letters[0].FirstTried.Equal(b.began))
				require.ErrorIs(t, settled[0].Err, errDown)
				assert.Equal(t, len(tc.times), settled[0].Delivery.Attempt)
				errs := b.log.lines(t, slog.LevelError)
				require.Len(t, errs, 1, "a dead delivery is one line")
				assert.Equal(t, "tocsin: delivery is dead", errs[0]["msg"])
				assert.Equal(t, tc.reason, errs[0]["reason"])
				assert.EqualValues(t, len(tc.times), errs[0]["attempts"])
			})
		})
	}
}

type panicky struct{}

func (panicky) Next(retry.Failure) (time.Duration, bool) { panic("policy") }

type negative struct{}

func (negative) Next(retry.Failure) (time.Duration, bool) { return -time.Hour, true }

// What the host gives may panic; the delivery goes on, and so do all others.
func TestPanics(t *testing.T) {
	t.Parallel()
	once := func() func() {
		done := false
		return func() {
			if !done {
				done = true
				panic(payloadMark)
			}
		}
	}
	for name, spoil := range map[string]func(r *dispatcher.Route){
		"channel": func(r *dispatcher.Route) {
			next, boom := r.Channel, once()
			r.Channel = channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				boom()
				return next.Send(ctx, d)
			})
		},
		"channel that is a nil function": func(r *dispatcher.Route) {
			var sends channel.Func
			next := r.Channel
			r.Channel = channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				if d.Attempt == 1 {
					return sends.Send(ctx, d)
				}
				return next.Send(ctx, d)
			})
		},
		"middleware": func(r *dispatcher.Route) {
			boom := once()
			r.Use = []channel.Middleware{func(next channel.Channel) channel.Channel {
				return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					boom()
					return next.Send(ctx, d)
				})
			}}
		},
		"dedup key": func(r *dispatcher.Route) {
			boom := once()
			r.Dedup = channel.DedupOptions{Window: time.Hour, Key: func(d channel.Delivery) string {
				boom()
				return d.Event.ID()
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				route := dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Second}}
				spoil(&route)
				b := start(t, route, dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
				b.dispatch(notes(1)...)
				advance(time.Minute)
				assert.Equal(t, []time.Duration{0, time.Second}, b.times("r"), "a panic is a failed attempt")
				attempt := b.seen.attemptsOf("r")[0]
				require.ErrorAs(t, attempt.Err, new(*channel.PanicError))
				assert.Equal(t, retry.VerdictTransient, attempt.Verdict)
				assert.NotContains(t, attempt.Err.Error(), payloadMark)
				require.Len(t, rec.Deliveries(), 1)
				assert.Equal(t, 2, rec.Deliveries()[0].Attempt)
				assert.Len(t, b.seen.settledOf("other"), 1)
			})
		})
	}
}

func TestHangingChannelDelaysNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hangs := channel.Func(func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
			<-ctx.Done()
			return channel.Receipt{}, ctx.Err()
		})
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "hangs", Channel: hangs, Timeout: -1}, dispatcher.Route{Name: "healthy", Channel: &rec})
		b.dispatch(notes(500)...)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 500)
		assert.Equal(t, time.Since(b.began), time.Duration(0))
		assert.Equal(t, 4, b.status("hangs").InFlight)
	})
}

func TestGoneDestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gone := retry.Permanent(fmt.Errorf("hook was deleted: %w", channel.ErrGone))
		var broken, fixed channeltest.Recorder
		for range 50 {
			broken.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
				<-time.After(time.Second) // so that several are under way at once
				return channel.Receipt{}, gone
			})
		}
		b := start(t, dispatcher.Route{Name: "r", Channel: &broken}, dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(10)...)
		advance(time.Hour)
		assert.Len(t, broken.Deliveries(), 4, "those under way; then the lane is paused")
		assert.Equal(t, []string{"r"}, b.seen.disabled, "and that is reported once")
		status := b.status("r")
		assert.True(t, status.Gone)
		assert.False(t, b.status("other").Gone)
		assert.Equal(t, dispatcher.Enabled, status.State)
		assert.Equal(t, 10, status.Queued, "every delivery is kept")
		assert.Empty(t, b.seen.settledOf("r"))
		lines := b.log.lines(t, slog.LevelError)
		require.Len(t, lines, 1)
		assert.Equal(t, "r", lines[0]["route"])

		b.dispatch(newNote(99, event.Meta{ID: "late"}))
		assert.Equal(t, 11, b.status("r").Queued, "new events are taken")
		b.setRoutes(dispatcher.Route{Name: "r", Channel: &fixed}, dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
		synctest.Wait()
		assert.Len(t, fixed.Deliveries(), 11, "SetRoutes tries again")
		assert.False(t, b.status("r").Gone)
	})
}

// A destination that turns out to be gone after its route was replaced says nothing about the new one.
func TestGoneDestinationOfAReplacedRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var previous, later channeltest.Recorder
		previous.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(time.Minute)
			return channel.Receipt{}, errors.Join(channel.ErrGone)
		})
		b := start(t, dispatcher.Route{Name: "r", Channel: &previous, Timeout: -1})
		b.dispatch(notes(1)...)
		advance(time.Second)
		b.setRoutes(dispatcher.Route{Name: "r", Channel: &later}) // returns when the old send has
		synctest.Wait()
		assert.Empty(t, b.seen.disabled)
		assert.False(t, b.status("r").Gone)
		assertIDs(t, []string{"e-0"}, later.Deliveries())
	})
}
