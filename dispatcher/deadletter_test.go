package dispatcher_test

import (
	"fmt"
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

// withDead makes an Engine with two routes whose deliveries are all dead, one event a minute.
func withDead(t *testing.T, events int) (b *bundle, first, second *channeltest.Recorder) {
	t.Helper()
	first, second = new(channeltest.Recorder), new(channeltest.Recorder)
	for range events {
		first.Script(channeltest.Fail(retry.Permanent(errDown)))
		second.Script(channeltest.Fail(retry.Permanent(errDown)))
	}
	dedup := channel.DedupOptions{Window: time.Hour}
	b = start(t, dispatcher.Route{Name: "first", Channel: first, Dedup: dedup}, dispatcher.Route{Name: "second", Channel: second})
	for _, e := range notes(events) {
		b.dispatch(e)
		advance(time.Minute)
	}
	return b, first, second
}

func (b *bundle) dead(s dispatcher.DeadLetterFilter) []dispatcher.DeadLetter {
	b.t.Helper()
	letters, err := b.DeadLetters(b.t.Context(), s)
	require.NoError(b.t, err)
	return letters
}

func TestDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 4)
		letters := b.dead(dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}})
		require.Len(t, letters, 4)
		for i, l := range letters {
			assert.Equal(t, notes(4)[i].ID(), l.Delivery.Event.ID(), "the earliest first")
			assert.Equal(t, named("first"), l.Delivery.Route)
			assert.Equal(t, "permanent failure: receiver is down", l.Reason)
			assert.True(t, l.At.Equal(b.began.Add(time.Duration(i)*time.Minute)))
			assert.Equal(t, 1, l.Delivery.Attempt)
			assert.Equal(t, first.Deliveries()[i].ID(), l.ID)
			assert.Equal(t, l.ID, l.Delivery.ID())
		}
		assert.Equal(t, 4, b.status("first").DeadLetters)
		assert.Len(t, b.dead(dispatcher.DeadLetterFilter{Limit: 3}), 3)
		assert.Len(t, b.dead(dispatcher.DeadLetterFilter{After: letters[1].Seq, Routes: []dispatcher.RouteID{named("first")}}), 2)
	})
}

func TestRedeliverDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, second := withDead(t, 4)
		letters := b.dead(dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}})

		n, err := b.RedeliverDead(t.Context(), dispatcher.DeadLetterFilter{IDs: []string{letters[2].ID}})
		require.NoError(t, err)
		assert.Equal(t, 1, n, "one")
		synctest.Wait()
		require.Len(t, first.Deliveries(), 5)
		again := first.Deliveries()[4]
		assert.Equal(t, letters[2].Delivery.Event.ID(), again.Event.ID())
		assert.Equal(t, letters[2].Delivery.ID(), again.ID(), "with the same delivery id")
		assert.Equal(t, 1, again.Attempt)
		assert.NotZero(t, again.Generation, "so it bypasses dedup")

		n, err = b.RedeliverDead(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("second")}, Since: b.began.Add(2 * time.Minute)})
		require.NoError(t, err)
		assert.Equal(t, 2, n, "all of a route since a time")
		synctest.Wait()
		assert.ElementsMatch(t, []string{"e-2", "e-3"}, ids(second.Deliveries()[4:]))
		assert.Len(t, first.Deliveries(), 5)

		n, err = b.RedeliverDead(t.Context(), everyDead)
		require.NoError(t, err)
		assert.Equal(t, 5, n, "all that are left")
		synctest.Wait()
		assert.Empty(t, b.dead(everyDead))
		assert.Equal(t, 4, b.seen.results("first")[dispatcher.Delivered])
		assert.Equal(t, 4, b.seen.results("second")[dispatcher.Delivered])
	})
}

func TestDeadLettersByTenantAndRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := func(tenant, name string) dispatcher.Route {
			return dispatcher.Route{Name: name, Tenant: tenant, Channel: refusing()}
		}
		b := start(t, route("a", "1"), route("b", "1"), route("b", "2"), route("", "1"), route(dispatcher.AnyTenant, "1"))
		for i := range 2 {
			for _, tenant := range []string{"a", "b", ""} {
				b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint(tenant, i), Tenant: tenant}))
				synctest.Wait()
			}
		}
		b.setRoutes(route("a", "1"))
		list := func(f dispatcher.DeadLetterFilter) (all []string) {
			for _, l := range b.dead(f) {
				all = append(all, l.Delivery.Route.String()+":"+l.Delivery.Event.ID())
			}
			return all
		}
		id := func(tenant, name string) dispatcher.RouteID { return dispatcher.RouteID{Tenant: tenant, Name: name} }
		assert.Equal(t, []string{"a/1:a0", "a/1:a1"}, list(dispatcher.DeadLetterFilter{Tenants: []string{"a", "x"}}))
		assert.ElementsMatch(t, []string{"b/1:b0", "b/2:b0", "b/1:b1", "b/2:b1"}, list(dispatcher.DeadLetterFilter{Tenants: []string{"b"}}), "of removed routes, too")
		assert.Equal(t, []string{"1:0", "1:1"}, list(dispatcher.DeadLetterFilter{Tenants: []string{""}}))
		assert.Equal(t, []string{"*/1:a0", "*/1:b0", "*/1:0", "*/1:a1", "*/1:b1", "*/1:1"}, list(dispatcher.DeadLetterFilter{Tenants: []string{"*"}}))
		some := dispatcher.DeadLetterFilter{Tenants: []string{"a"}, Routes: []dispatcher.RouteID{id("b", "2"), id("a", "1"), id("b", "9")}}
		assert.Equal(t, []string{"a/1:a0", "b/2:b0", "a/1:a1", "b/2:b1"}, list(some))
		assert.Empty(t, list(dispatcher.DeadLetterFilter{Tenants: []string{}}))
		assert.Len(t, list(everyDead), 14)
		some.Limit = 3
		assert.Equal(t, []string{"a/1:a0", "b/2:b0", "a/1:a1"}, list(some))
		some.After = b.dead(some)[1].Seq
		assert.Equal(t, []string{"a/1:a1", "b/2:b1"}, list(some), "the next page")

		some.After = 0
		n, err := b.DiscardDead(t.Context(), some)
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		some.Limit = 0
		assert.Equal(t, []string{"b/2:b1"}, list(some))
		n, err = b.RedeliverDead(t.Context(), dispatcher.DeadLetterFilter{Tenants: []string{"a", ""}})
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Len(t, list(everyDead), 14-3-2)
	})
}

// A redelivery that is dead again is a dead letter of its own, and can be redelivered again.
func TestRedeliveredDeadIsDeadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 1)
		first.Script(channeltest.Fail(retry.Permanent(errDown)))
		for want := range 2 {
			n, err := b.RedeliverDead(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}})
			require.NoError(t, err)
			require.Equal(t, 1, n)
			synctest.Wait()
			assert.Len(t, b.dead(dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}}), 1-want)
		}
		assert.EqualValues(t, 1, b.status("first").Delivered)
		assert.EqualValues(t, 2, b.status("first").Dead)
	})
}

func TestDiscardDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 3)
		n, err := b.DiscardDead(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}, Since: b.began.Add(time.Minute)})
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Len(t, b.dead(dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("first")}}), 1)
		assert.Len(t, b.dead(dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named("second")}}), 3)
		advance(time.Hour)
		assert.Len(t, first.Deliveries(), 3)
	})
}
