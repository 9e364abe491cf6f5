package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func TestZeroEventIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		err := b.Dispatch(t.Context(), notes(1)[0], event.Event{})
		bad, ok := errors.AsType[*dispatcher.EventError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 1, bad.Index)
		assert.Empty(t, bad.ID)
		assert.ErrorContains(t, err, `event 1 (id ""): its Type is empty`)
		assert.Zero(t, b.status("r").Queued, "the good one is not queued either")
		assert.Empty(t, b.seen.dispatched)

		require.ErrorAs(t, b.Schedule(t.Context(), b.began, "key", event.Event{}), &bad)
		require.ErrorAs(t, b.Redeliver(t.Context(), event.Event{}), &bad)
		_, err = b.Test(t.Context(), dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)}, event.Event{})
		require.ErrorAs(t, err, &bad)
	})
}

func TestSameIDWithOtherDataIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		b.dispatch(newNote(1, event.Meta{ID: "known"}))
		err := b.Dispatch(t.Context(), newNote(2, event.Meta{ID: "fresh"}), newNote(3, event.Meta{ID: "known"}), newNote(4, event.Meta{Tenant: "nobody's"}))
		bad, ok := errors.AsType[*dispatcher.EventError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 1, bad.Index)
		assert.Equal(t, "known", bad.ID)
		conflict, ok := errors.AsType[*dispatcher.ConflictError](err)
		require.True(t, ok)
		assert.Equal(t, "known", conflict.EventID)
		assert.NotContains(t, err.Error(), payloadMark)
		assert.Equal(t, 1, b.status("r").Queued, "nothing of the second call is queued")
		assert.NotContains(t, b.seen.dispatched, "fresh")
		assert.Zero(t, b.Unrouted(), "and nothing of it is counted")
	})
}

func TestFanOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a, c, other channeltest.Recorder
		b := start(t,
			dispatcher.Route{Name: "a", Channel: &a},
			dispatcher.Route{Name: "b", Channel: &a, Events: event.Types("note.*")},
			dispatcher.Route{Name: "c", Channel: &c},
			dispatcher.Route{Name: "other", Channel: &other, Events: event.Types("grant.*")})
		b.dispatch(notes(2)...)
		synctest.Wait()
		assert.Len(t, a.Deliveries(), 4, "a channel of two routes gets each event from both")
		assert.ElementsMatch(t, []string{"e-0", "e-1"}, ids(c.Deliveries()))
		assert.Empty(t, other.Deliveries())
		assert.Equal(t, map[string][]int{"e-0": {3}, "e-1": {3}}, b.seen.dispatched)

		shared := map[*byte]bool{}
		for _, d := range append(a.Deliveries(), c.Deliveries()...) {
			assert.Zero(t, d.Generation)
			assert.Equal(t, 1, d.Attempt)
			shared[&d.Event.Data()[0]] = true
		}
		assert.Len(t, shared, 2, "an event is stored once, whatever the number of its routes")
		for _, route := range []string{"a", "b", "c"} {
			assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: 2}, b.seen.results(route))
		}
	})
}

func TestSameEventTwiceIsOneDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		e := notes(1)[0]
		b.dispatch(e, e)
		b.dispatch(e)
		synctest.Wait()
		b.dispatch(e)
		synctest.Wait()
		assertIDs(t, []string{"e-0"}, rec.Deliveries())
	})
}

func TestSourceDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setupWith(t, dispatcher.Config{Source: "pam.example", Routes: []dispatcher.Route{{Name: "r", Channel: &rec}}})
		b.run()
		sources := func() []string {
			synctest.Wait()
			var all []string
			for _, d := range rec.Deliveries() {
				all = append(all, d.Event.Source())
			}
			return all
		}
		without := newNote(1, event.Meta{})
		b.dispatch(without)
		b.dispatch(newNote(2, event.Meta{Source: "own"}))
		assert.ElementsMatch(t, []string{"pam.example", "own"}, sources())
		assert.Empty(t, without.Source(), "the caller's event is as it was")

		require.NoError(t, b.Redeliver(t.Context(), without))
		require.NoError(t, b.Schedule(t.Context(), b.began, "k", newNote(3, event.Meta{})))
		assert.Equal(t, []string{"pam.example", "pam.example"}, sources()[2:], "the other ways in give it too")
		_, err := b.Test(t.Context(), dispatcher.Route{Name: "r", Channel: &rec}, without)
		require.NoError(t, err)
		assert.Equal(t, "pam.example", sources()[4])
	})
}

func TestDispatchWithContextDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, b.Dispatch(ctx, notes(1)...), context.Canceled)
		require.ErrorIs(t, b.Dispatch(ctx, newNote(1, event.Meta{Tenant: "nobody's"})), context.Canceled)
		assert.Zero(t, b.status("r").Queued)
		assert.Zero(t, b.Unrouted())
		require.NoError(t, b.Dispatch(t.Context()), "no events, no error")
	})
}

func TestBeforeRunDispatchOnlyQueues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.dispatch(notes(3)...)
		synctest.Wait()
		assert.Equal(t, 3, b.status("r").Queued)
		assert.Empty(t, rec.Deliveries())
		b.run()
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3)
		assert.Zero(t, b.status("r").Queued)
	})
}

func TestAfterShutdownNothingIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		synctest.Wait()
		require.NoError(t, b.Shutdown(t.Context()))
		e := notes(1)[0]
		require.ErrorIs(t, b.Dispatch(t.Context(), e), dispatcher.ErrShutdown)
		require.ErrorIs(t, b.Schedule(t.Context(), b.began, "k", e), dispatcher.ErrShutdown)
		require.ErrorIs(t, b.Redeliver(t.Context(), e), dispatcher.ErrShutdown)
		_, err := b.RedeliverDead(t.Context(), everyDead)
		require.ErrorIs(t, err, dispatcher.ErrShutdown)
		require.ErrorIs(t, b.SetRoutes(t.Context(), nil), dispatcher.ErrShutdown)
		require.ErrorIs(t, b.Run(t.Context()), dispatcher.ErrShutdown)
		require.ErrorAs(t, b.Dispatch(t.Context(), event.Event{}), new(*dispatcher.EventError), "a bad event is bad all the same")
	})
}

// An observer may dispatch: events about deliveries are events. It must not lock up a shutdown that waits meanwhile.
func TestObserverDispatchesWhileShutdownWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		entered, goOn := make(chan struct{}), make(chan struct{})
		var b *bundle
		var inner error
		b = setupWith(t, dispatcher.Config{Observers: []dispatcher.Observer{{
			Unrouted: func(e event.Event, _ dispatcher.Reason) {
				if e.ID() != "e-0" {
					return
				}
				close(entered)
				<-goOn
				inner = b.Dispatch(context.Background(), newNote(1, event.Meta{ID: "e-1"}))
			},
		}}})
		b.run()
		synctest.Wait()
		outer, down := make(chan error, 1), make(chan error, 1)
		go func() { outer <- b.Dispatch(context.Background(), notes(1)...) }()
		<-entered
		go func() { down <- b.Shutdown(context.Background()) }()
		synctest.Wait()
		assert.Empty(t, down, "Shutdown waits for the Dispatch that it met")
		close(goOn)
		require.NoError(t, <-outer)
		require.NoError(t, <-down)
		require.ErrorIs(t, inner, dispatcher.ErrShutdown)
	})
}
