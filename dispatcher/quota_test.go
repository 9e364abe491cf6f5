package dispatcher_test

import (
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
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// A tenant's flood fills the room of its own lanes and of no other's.
func TestTenantBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		paused := func(tenant, name string) dispatcher.Route {
			return dispatcher.Route{Name: name, Tenant: tenant, Channel: new(channeltest.Recorder), State: dispatcher.Paused}
		}
		routes := []dispatcher.Route{paused("a", "1"), paused("a", "2"), paused("b", "1"), paused("", "1"), paused(dispatcher.AnyTenant, "1")}
		b := setupWith(t, dispatcher.Config{TenantBacklog: 10, Routes: routes})
		b.run()
		for i := range 5 {
			b.dispatch(newNote(i, event.Meta{Tenant: "a"}))
		}
		full, ok := errors.AsType[*dispatcher.BacklogError](b.Dispatch(t.Context(), newNote(6, event.Meta{Tenant: "a"})))
		require.True(t, ok)
		assert.ElementsMatch(t, []string{"a/1", "a/2"}, full.Lanes)
		assert.Equal(t, []string{"a"}, full.Groups)
		for i := range 20 {
			b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint("none-", i)}))
		}
		for i := range 10 {
			b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint("b-", i), Tenant: "b"}))
		}
		require.Error(t, b.Dispatch(t.Context(), newNote(11, event.Meta{Tenant: "b"})))
		queued := map[string]int{}
		for _, s := range b.statuses() {
			queued[s.Route.String()] = s.Queued
		}
		assert.Equal(t, map[string]int{"a/1": 5, "a/2": 5, "b/1": 10, "1": 20, "*/1": 37}, queued)

		routes[0].State = dispatcher.Enabled
		b.setTenant("a", routes[0], routes[1])
		synctest.Wait()
		b.dispatch(newNote(7, event.Meta{Tenant: "a"}))
	})
}

// The dead letters of a route push out its own oldest, and nobody else's.
func TestDeadLetterLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := func(tenant string, limit dispatcher.DeadLetterLimit) dispatcher.Route {
			return dispatcher.Route{Name: "r", Tenant: tenant, Channel: refusing(), DeadLetters: limit}
		}
		b := start(t, route("a", dispatcher.DeadLetterLimit{Count: 3}), route("b", dispatcher.DeadLetterLimit{Age: time.Hour}))
		for i := range 5 {
			for _, tenant := range []string{"a", "b"} {
				b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint(tenant, i), Tenant: tenant}))
				synctest.Wait()
			}
		}
		list := func(tenant string) (all []string) {
			for _, l := range b.dead(dispatcher.DeadLetterFilter{Tenants: []string{tenant}}) {
				all = append(all, l.Delivery.Event.ID())
			}
			return all
		}
		assert.Equal(t, []string{"a2", "a3", "a4"}, list("a"))
		assert.Len(t, list("b"), 5)
		advance(2 * time.Hour)
		assert.Len(t, list("a"), 3)
		assert.Empty(t, list("b"))
	})
}

func TestQuotasWithoutEffectAreMistakes(t *testing.T) {
	t.Parallel()
	route := dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Backlog: dispatcher.Backlog{Jobs: 1}, DeadLetters: dispatcher.DeadLetterLimit{Age: time.Hour}}
	_, err := dispatcher.New(dispatcher.Config{Queue: unbounded{memoryqueue.New(memoryqueue.Options{})}, TenantBacklog: 1, Routes: []dispatcher.Route{route}})
	errs := configErrors(t, err)
	require.Len(t, errs, 3)
	for i, path := range []string{"TenantBacklog", "Routes[0].Backlog", "Routes[0].DeadLetters"} {
		assert.Equal(t, path, errs[i].Path)
		assert.Equal(t, channel.CodeConflict, errs[i].Code)
	}
	route.DeadLetters = dispatcher.DeadLetterLimit{Count: -1, Age: -1}
	_, err = dispatcher.New(dispatcher.Config{TenantBacklog: -1, Routes: []dispatcher.Route{route}})
	errs = configErrors(t, err)
	require.Len(t, errs, 3)
	for i, path := range []string{"TenantBacklog", "Routes[0].DeadLetters.Count", "Routes[0].DeadLetters.Age"} {
		assert.Equal(t, path, errs[i].Path)
		assert.Equal(t, channel.CodeRange, errs[i].Code)
	}
}
