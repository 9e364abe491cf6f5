package dispatcher_test

import (
	"context"
	"errors"
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

func TestRedeliver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		recorders := map[string]*channeltest.Recorder{}
		var routes []dispatcher.Route
		for _, r := range []dispatcher.Route{
			{Name: "all"}, {Name: "notes", Events: event.Types("note.*")}, {Name: "grants", Events: event.Types("grant.*")},
			{Name: "off", State: dispatcher.Disabled}, {Name: "theirs", Tenant: "b"}, {Name: "any", Tenant: dispatcher.AnyTenant},
		} {
			recorders[r.Name] = new(channeltest.Recorder)
			r.Channel = recorders[r.Name]
			routes = append(routes, r)
		}
		b := start(t, routes...)
		got := func() map[string]int {
			synctest.Wait()
			n := map[string]int{}
			for name, rec := range recorders {
				if len(rec.Deliveries()) > 0 {
					n[name] = len(rec.Deliveries())
				}
			}
			return n
		}
		e := notes(1)[0]
		require.NoError(t, b.Redeliver(t.Context(), e))
		assert.Equal(t, map[string]int{"all": 1, "notes": 1, "any": 1}, got(), "unnamed: every route that wants it, delivered before or not")
		require.NoError(t, b.Redeliver(t.Context(), e, named("notes"), named("grants"), named("notes")))
		assert.Equal(t, map[string]int{"all": 1, "notes": 2, "any": 1, "grants": 1}, got(), "named: whatever the filter says, each once")

		err := b.Redeliver(t.Context(), e, named("all"), named("off"), named("nobody"), dispatcher.RouteID{Tenant: "b", Name: "theirs"})
		var problems []string
		for _, each := range err.(interface{ Unwrap() []error }).Unwrap() {
			bad, ok := errors.AsType[*dispatcher.RouteError](each)
			require.True(t, ok)
			problems = append(problems, bad.Error())
		}
		assert.Equal(t, []string{`route "off": is disabled; enable it first`, `route "nobody": does not exist; choose one of the routes in force`,
			`route "b/theirs": is not for the event's tenant; choose one that is`}, problems)
		assert.Equal(t, 1, got()["all"], "and nothing is queued")

		require.NoError(t, b.Redeliver(t.Context(), newNote(1, event.Meta{Tenant: "c"}), dispatcher.RouteID{Tenant: dispatcher.AnyTenant, Name: "any"}))
		require.NoError(t, b.Redeliver(t.Context(), event.Must(event.ChannelFailing{}, event.Meta{})), "nobody wants it")
		assert.Equal(t, 2, got()["any"])
		assert.Zero(t, b.Unrouted())
	})
}

func TestRedeliverIsADeliveryLikeAnyOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, MaxAge: time.Hour, Retry: retry.Fixed{Interval: time.Minute},
			Order: dispatcher.BySubject, Backlog: dispatcher.Backlog{Jobs: 2}})
		e := newNote(1, event.Meta{Subject: "s"})
		b.dispatch(e)
		advance(2 * time.Hour)
		rec.Script(channeltest.Fail(errDown))
		require.NoError(t, b.Redeliver(t.Context(), e), "as if it were dispatched now, so not too old")
		synctest.Wait()
		b.dispatch(newNote(2, event.Meta{Subject: "s"}))
		synctest.Wait()
		require.ErrorAs(t, b.Redeliver(t.Context(), e), new(*dispatcher.BacklogError))
		assert.Len(t, rec.Deliveries(), 2, "the other one waits behind it")
		advance(time.Minute)
		all := rec.Deliveries()
		require.Len(t, all, 4)
		assert.Equal(t, 2, all[2].Attempt, "it is retried")
		assert.Equal(t, all[1].Generation, all[2].Generation)
		assert.NotEqual(t, e.ID(), all[3].Event.ID())
	})
}

func TestTestMakesOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		want := channel.Receipt{Status: 202, ProviderID: "p", Request: &channel.Message{Start: "POST"}, Response: &channel.Message{Start: "202"}}
		rec.Script(channeltest.Succeed(want), channeltest.Succeed(want), channeltest.Fail(errDown), channeltest.Panic("x"), channeltest.Hang())
		var passed []string
		route := dispatcher.Route{
			Name: "unsaved", Channel: &rec, State: dispatcher.Disabled, Tenant: "b", Events: event.Types("grant.*"), Timeout: time.Minute,
			Rate: dispatcher.Rate{Events: 1, Per: time.Hour}, Dedup: channel.DedupOptions{Window: time.Hour},
			Use: []channel.Middleware{func(next channel.Channel) channel.Channel {
				return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					passed = append(passed, d.Route.Name)
					return next.Send(ctx, d)
				})
			}},
		}
		b := setup(t) // it need not run, nor know the route
		e := notes(1)[0]
		for range 2 {
			got, err := b.Test(t.Context(), route, e)
			require.NoError(t, err)
			assert.Equal(t, want, got, "the complete exchange; nothing is suppressed")
		}
		assert.Equal(t, []string{"unsaved", "unsaved"}, passed)
		assert.Equal(t, 1, rec.Deliveries()[0].Attempt)
		assert.NotEqual(t, rec.Deliveries()[0].ID(), rec.Deliveries()[1].ID(), "a receiver that drops repetitions takes both")
		for _, d := range rec.Deliveries() {
			assert.True(t, d.Event.IsTest())
			assert.Equal(t, e.Data(), d.Event.Data())
		}
		assert.False(t, e.IsTest())

		_, err := b.Test(t.Context(), route, e)
		require.ErrorIs(t, err, errDown)
		_, err = b.Test(t.Context(), route, e)
		require.ErrorAs(t, err, new(*channel.PanicError))
		_, err = b.Test(t.Context(), route, e)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(b.began), "the route's timeout holds")
		assert.Len(t, rec.Deliveries(), 5, "nothing is retried")

		b.run()
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 5, "nor stored")
		assert.Empty(t, b.seen.attempts, "nor observed")
		assert.Empty(t, b.seen.settled)
		_, err = b.Test(t.Context(), dispatcher.Route{Name: "r"}, e)
		require.Len(t, configErrors(t, err), 1)
	})
}
