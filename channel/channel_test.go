package channel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

func sample(t *testing.T, typ event.Type) event.Event {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok)
	return e
}

func delivery(t *testing.T) channel.Delivery {
	t.Helper()
	return channel.Delivery{Event: sample(t, event.TypeRequestPending), Route: channel.RouteID{Name: "slack"}, Attempt: 1}
}

func TestDeliveryID(t *testing.T) {
	t.Parallel()
	e := event.Must(event.GrantRevoked{}, event.Meta{ID: strings.Repeat("x", 100)})
	base := channel.Delivery{Event: e, Route: channel.RouteID{Name: "a route. with dots"}}
	id := base.ID()
	assert.Len(t, id, 117)
	assert.NotContains(t, id, ".", "receivers sign id.timestamp.body")
	assert.True(t, strings.HasPrefix(id, e.ID()+"_"))

	again := base
	again.Attempt, again.Generation = 7, 42
	assert.Equal(t, id, again.ID(), "the idempotency key survives attempts and redeliveries")
	other := base
	other.Route.Name = "another"
	assert.NotEqual(t, id, other.ID())
}

func TestChainFirstIsOutermost(t *testing.T) {
	t.Parallel()
	var order []string
	note := func(name string) channel.Middleware {
		return func(next channel.Channel) channel.Channel {
			return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
				order = append(order, name)
				return next.Send(ctx, d)
			})
		}
	}
	rec := new(channeltest.Recorder)
	_, err := channel.Chain(rec, note("first"), note("second")).Send(t.Context(), delivery(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "second"}, order)
	assert.Same(t, rec, channel.Chain(rec))
}

func TestWithRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := new(channeltest.Recorder)
		rec.Script(channeltest.Fail(errBoom), channeltest.Fail(retry.Postpone(errBoom, time.Second)),
			channeltest.Fail(errBoom), channeltest.Succeed(channel.Receipt{Status: 200}))
		policy := retry.AtMost(3, retry.Fixed{Interval: time.Minute})
		began := time.Now()
		receipt, err := channel.Chain(rec, channel.WithRetry(policy)).Send(t.Context(), delivery(t))
		require.NoError(t, err)
		assert.Equal(t, 200, receipt.Status)
		assert.Equal(t, 2*time.Minute+time.Second, time.Since(began))
		var attempts []int
		for _, d := range rec.Deliveries() {
			attempts = append(attempts, d.Attempt)
		}
		assert.Equal(t, []int{1, 2, 2, 3}, attempts, "a postponed attempt is not counted")
	})
}

// What a destination says about itself holds for every delivery.
func TestWithRetryKeepsQuietWhenTheDestinationAsksForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := new(channeltest.Recorder)
		rec.Script(channeltest.Fail(retry.Throttle(errBoom, time.Hour)))
		c := channel.Chain(rec, channel.WithRetry(retry.AtMost(2, retry.Fixed{Interval: time.Minute})))
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * time.Second)
				_, err := c.Send(t.Context(), delivery(t))
				assert.NoError(t, err)
			})
		}
		<-time.After(59 * time.Minute)
		assert.Len(t, rec.Deliveries(), 1, "the others wait")
		wg.Wait()
		assert.Len(t, rec.Deliveries(), 6)
		assert.Equal(t, time.Hour, time.Since(began))

		rec.Script(channeltest.Fail(retry.Throttle(errBoom, time.Hour)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Send(ctx, delivery(t))
		require.ErrorIs(t, err, errBoom)
		_, err = c.Send(ctx, delivery(t))
		assert.ErrorIs(t, err, channel.ErrThrottled)
	})
}

// A suppressing middleware lets through what a destination says about itself.
func TestWithDedupPassesOnThatTheDestinationAsksForQuiet(t *testing.T) {
	t.Parallel()
	rec, c := deduped(channel.DedupOptions{Window: time.Hour})
	rec.Script(channeltest.Fail(retry.Throttle(errBoom, time.Minute)))
	_, err := c.Send(t.Context(), delivery(t))
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute, Throttled: true}, retry.Classify(t.Context(), err))
}

func TestWithRetryGivesUp(t *testing.T) {
	t.Parallel()
	rec := new(channeltest.Recorder)
	rec.Script(channeltest.Fail(retry.Permanent(errBoom)))
	_, err := channel.Chain(rec, channel.WithRetry(retry.Fixed{})).Send(t.Context(), delivery(t))
	require.ErrorIs(t, err, errBoom)
	assert.Len(t, rec.Deliveries(), 1)
}

// deduped wraps a fresh recorder; send makes one delivery of e to the route and returns its receipt.
func deduped(o channel.DedupOptions) (*channeltest.Recorder, channel.Channel) {
	rec := new(channeltest.Recorder)
	return rec, channel.Chain(rec, channel.WithDedup(dedup.NewMemory(dedup.MemoryOptions{}), o))
}

func TestWithDedupSuppressesWithinTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec, c := deduped(channel.DedupOptions{Window: 2 * time.Hour})
		d := delivery(t)
		receipt, err := c.Send(t.Context(), d)
		require.NoError(t, err)
		assert.False(t, receipt.Skipped)

		<-time.After(2*time.Hour - time.Second)
		receipt, err = c.Send(t.Context(), d)
		require.NoError(t, err)
		assert.True(t, receipt.Skipped)
		assert.Len(t, rec.Deliveries(), 1)

		<-time.After(2 * time.Second)
		receipt, err = c.Send(t.Context(), d)
		require.NoError(t, err)
		assert.False(t, receipt.Skipped, "the window has passed")
		assert.Len(t, rec.Deliveries(), 2)
	})
}

func TestWithDedupKey(t *testing.T) {
	t.Parallel()
	type change struct {
		of     func(*event.Meta, *event.SessionMemberJoined)
		route  string
		repeat bool
	}
	for name, tc := range map[string]change{
		"other id and time":  {of: func(m *event.Meta, _ *event.SessionMemberJoined) { m.ID = "b"; m.Time = m.Time.Add(1) }, repeat: true},
		"other source":       {of: func(m *event.Meta, _ *event.SessionMemberJoined) { m.Source = "elsewhere" }, repeat: true},
		"other subject":      {of: func(m *event.Meta, _ *event.SessionMemberJoined) { m.Subject = "s2" }},
		"other tenant":       {of: func(m *event.Meta, _ *event.SessionMemberJoined) { m.Tenant = "t2" }},
		"other data":         {of: func(_ *event.Meta, p *event.SessionMemberJoined) { p.Username = "eve" }},
		"other route":        {of: func(*event.Meta, *event.SessionMemberJoined) {}, route: "mail"},
		"nothing is another": {of: func(*event.Meta, *event.SessionMemberJoined) {}, repeat: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, c := deduped(channel.DedupOptions{Window: time.Hour})
			meta := event.Meta{ID: "a", Tenant: "t1", Subject: "s1", Time: time.Unix(1, 0)}
			payload := event.SessionMemberJoined{}
			first := channel.Delivery{Event: event.Must(payload, meta), Route: channel.RouteID{Name: "slack"}}
			tc.of(&meta, &payload)
			second := channel.Delivery{Event: event.Must(payload, meta), Route: channel.RouteID{Name: "slack"}}
			if tc.route != "" {
				second.Route.Name = tc.route
			}
			for _, d := range []channel.Delivery{first, second} {
				_, err := c.Send(t.Context(), d)
				require.NoError(t, err)
			}
			want := 2
			if tc.repeat {
				want = 1
			}
			assert.Len(t, rec.Deliveries(), want)
		})
	}
}

func TestWithDedupNeverSuppresses(t *testing.T) {
	t.Parallel()
	window := channel.DedupOptions{Window: time.Hour}
	glass := channel.Delivery{Event: sample(t, event.TypeRequestBreakGlass), Route: channel.RouteID{Name: "pager"}}
	redelivery := delivery(t)
	redelivery.Generation = 1
	for name, tc := range map[string]struct {
		options channel.DedupOptions
		d       channel.Delivery
		sends   int
	}{
		"break-glass":              {window, glass, 2},
		"break-glass unless named": {channel.DedupOptions{Window: time.Hour, BreakGlass: true}, glass, 1},
		"redelivery on purpose":    {window, redelivery, 2},
		"no window":                {channel.DedupOptions{}, delivery(t), 2},
		"empty key":                {channel.DedupOptions{Window: time.Hour, FailClosed: true, Key: func(channel.Delivery) string { return "" }}, delivery(t), 2},
		"own key":                  {channel.DedupOptions{Window: time.Hour, Key: func(channel.Delivery) string { return "same" }}, delivery(t), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, c := deduped(tc.options)
			for range 2 {
				_, err := c.Send(t.Context(), tc.d)
				require.NoError(t, err)
			}
			assert.Len(t, rec.Deliveries(), tc.sends)
		})
	}
}

func TestWithDedupFailureSuppressesNothing(t *testing.T) {
	t.Parallel()
	rec, c := deduped(channel.DedupOptions{Window: time.Hour})
	rec.Script(channeltest.Fail(errBoom))
	_, err := c.Send(t.Context(), delivery(t))
	require.ErrorIs(t, err, errBoom)
	receipt, err := c.Send(t.Context(), delivery(t))
	require.NoError(t, err)
	assert.False(t, receipt.Skipped)
}

func TestWithDedupInFlightIsPostponed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec, c := deduped(channel.DedupOptions{Window: time.Hour})
		rec.Script(channeltest.Delay(time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		first := make(chan error)
		d := delivery(t)
		go func() {
			_, err := c.Send(ctx, d)
			first <- err
		}()
		require.NoError(t, rec.Wait(t.Context(), 1))
		_, err := c.Send(t.Context(), delivery(t))
		verdict := retry.Classify(t.Context(), err)
		assert.Equal(t, retry.VerdictPostponed, verdict.Verdict)
		assert.Equal(t, time.Second, verdict.Delay)
		require.NoError(t, <-first)
		receipt, err := c.Send(t.Context(), delivery(t))
		require.NoError(t, err)
		assert.True(t, receipt.Skipped)
	})
}

func TestWithDedupLease(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options  channel.DedupOptions
		deadline time.Duration
		lease    time.Duration
	}{
		"the attempt's deadline and a margin": {channel.DedupOptions{Window: time.Hour}, time.Minute, 65 * time.Second},
		"no deadline":                         {channel.DedupOptions{Window: time.Hour}, 0, 5 * time.Minute},
		"as configured":                       {channel.DedupOptions{Window: time.Hour, Lease: time.Second}, time.Minute, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tc.deadline > 0 {
					limited, cancel := context.WithTimeout(ctx, tc.deadline)
					defer cancel()
					ctx = limited
				}
				s := &leases{Store: dedup.NewMemory(dedup.MemoryOptions{})}
				c := channel.Chain(new(channeltest.Recorder), channel.WithDedup(s, tc.options))
				_, err := c.Send(ctx, delivery(t))
				require.NoError(t, err)
				assert.Equal(t, []time.Duration{tc.lease}, s.asked)
			})
		})
	}
}

// leases notes the leases a store is asked for.
type leases struct {
	dedup.Store
	asked []time.Duration
}

func (l *leases) Claim(ctx context.Context, key string, lease time.Duration) (dedup.Claim, error) {
	l.asked = append(l.asked, lease)
	return l.Store.Claim(ctx, key, lease)
}

// broken is a store that is down.
type broken struct{ dedup.Store }

func (broken) Claim(context.Context, string, time.Duration) (dedup.Claim, error) {
	return dedup.Claim{}, errBoom
}

func TestWithDedupWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	t.Run("delivers and notifies", func(t *testing.T) {
		t.Parallel()
		var notified []error
		rec := new(channeltest.Recorder)
		c := channel.Chain(rec, channel.WithDedup(broken{}, channel.DedupOptions{
			Window: time.Hour, OnStoreError: func(err *dedup.StoreError) { notified = append(notified, err) },
		}))
		_, err := c.Send(t.Context(), delivery(t))
		require.NoError(t, err)
		assert.Len(t, rec.Deliveries(), 1)
		require.Len(t, notified, 1)
		assert.ErrorIs(t, notified[0], errBoom)
	})
	t.Run("or postpones", func(t *testing.T) {
		t.Parallel()
		rec := new(channeltest.Recorder)
		c := channel.Chain(rec, channel.WithDedup(broken{}, channel.DedupOptions{Window: time.Hour, FailClosed: true}))
		_, err := c.Send(t.Context(), delivery(t))
		require.ErrorIs(t, err, errBoom)
		assert.Equal(t, retry.Result{Verdict: retry.VerdictPostponed, Delay: time.Second}, retry.Classify(t.Context(), err))
		assert.Empty(t, rec.Deliveries())
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	secret := "the payload"
	var nobody *channel.Receipt
	for name, tc := range map[string]struct {
		step channeltest.Step
		kind string
	}{
		"a string":        {channeltest.Panic(secret), "string"},
		"an error":        {channeltest.Panic(errors.New(secret)), "*errors.errorString"},
		"a runtime error": {func(context.Context, channel.Delivery) (channel.Receipt, error) { return *nobody, nil }, "runtime error: invalid memory address or nil pointer dereference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := new(channeltest.Recorder)
			rec.Script(tc.step)
			_, err := channel.Chain(rec, channel.Recover).Send(t.Context(), delivery(t))
			var panicked *channel.PanicError
			require.ErrorAs(t, err, &panicked)
			assert.Equal(t, tc.kind, panicked.Kind)
			assert.Contains(t, panicked.Where, "channel", "names the function that panicked")
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
		})
	}
}
