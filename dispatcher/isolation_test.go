package dispatcher_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// This file asks for one tenant's things and looks for another's.

// oddTenants are ids that could be taken for one another, or for something else, when they become parts of names.
func oddTenants() []string {
	return []string{
		"", "a", "A", "a ", "a/b", "a%2Fb", "a%252Fb", "/", "//", "%", "%25", "_", "a_b", "axb", ".", "..", "tocsin.", "tocsin.schedule", "\\", "'",
		"é", "e\u0301", "\U0001f512", "\u202ea", "a\u200b", "null", "0", strings.Repeat("é", 150), strings.Repeat("é", 149) + "e",
	}
}

func oddNames() []string {
	return []string{"r", "/", "a/b", "b/r", "%2Fr", "r ", "R", "é", "e\u0301", "*", "*/r"}
}

// Whatever tenants and routes are called, each has what is its own and nothing else.
func TestOddNamesAreNotTakenForOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tenants := append(oddTenants(), dispatcher.AnyTenant)
		b := start(t)
		for _, tenant := range tenants {
			var routes []dispatcher.Route
			for _, name := range oddNames() {
				routes = append(routes, dispatcher.Route{Name: name, Tenant: tenant, Channel: refusing()})
			}
			b.setTenant(tenant, routes...)
		}
		for i, tenant := range oddTenants() {
			b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint("e", i), Tenant: tenant}))
		}
		synctest.Wait()
		each := len(oddNames())
		ids := map[string]bool{}
		for _, tenant := range oddTenants() {
			rows, err := b.Status(t.Context(), dispatcher.StatusFilter{Tenants: []string{tenant}})
			require.NoError(t, err)
			assert.Len(t, rows, each, "%q", tenant)
			for _, row := range rows {
				assert.Equal(t, tenant, row.Route.Tenant)
				assert.Equal(t, 1, row.DeadLetters, "%q", row.Route)
			}
			letters := b.dead(dispatcher.DeadLetterFilter{Tenants: []string{tenant}})
			assert.Len(t, letters, each, "%q", tenant)
			for _, l := range letters {
				assert.Equal(t, tenant, l.Delivery.Route.Tenant)
				assert.Equal(t, tenant, l.Delivery.Event.Tenant())
				assert.False(t, ids[l.ID], "%q", l.Delivery.Route)
				ids[l.ID] = true
			}
		}
		for i, tenant := range oddTenants() {
			n, err := b.DiscardDead(t.Context(), dispatcher.DeadLetterFilter{Tenants: []string{tenant}})
			require.NoError(t, err)
			assert.Equal(t, each, n, "%q", tenant)
			assert.Len(t, b.dead(everyDead), (len(oddTenants())-1-i)*each+len(oddTenants())*each, "those of the others, and the platform's")
		}
	})
}

// Scheduled events of all tenants are in one lane, which has no tenant. Whoever asks for the routes without a tenant
// does not get them.
func TestScheduledDeadLettersAreOfNoTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Tenant: "a", Channel: refusing()}, dispatcher.Route{Name: "r", Channel: refusing()})
		for i, tenant := range []string{"a", ""} {
			id := fmt.Sprint("e", i)
			b.dispatch(newNote(1, event.Meta{ID: id, Tenant: tenant}))
			b.schedule(time.Minute, id, newNote(2, event.Meta{ID: id, Tenant: tenant})) // in conflict
		}
		advance(time.Hour)
		without := dispatcher.DeadLetterFilter{Tenants: []string{""}}
		for _, l := range b.dead(without) {
			assert.Empty(t, l.Delivery.Event.Tenant(), "%s", l.Delivery.Route)
		}
		scheduled := dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named(dispatcher.ScheduleLane)}}
		require.Len(t, b.dead(scheduled), 2, "by its name it is the host's")
		n, err := b.DiscardDead(t.Context(), without)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Len(t, b.dead(scheduled), 2)
		assert.Len(t, b.dead(everyDead), 3)
	})
}

// The zero RouteID is that of no route, not of all.
func TestZeroRouteIDSelectsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Tenant: "a", Channel: refusing()}, dispatcher.Route{Name: "r", Channel: refusing()})
		for _, tenant := range []string{"a", ""} {
			b.dispatch(newNote(1, event.Meta{Tenant: tenant}))
		}
		synctest.Wait()
		for _, id := range []dispatcher.RouteID{{}, {Tenant: "a"}} {
			none := dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{id}}
			assert.Empty(t, b.dead(none))
			n, err := b.RedeliverDead(t.Context(), none)
			require.NoError(t, err)
			assert.Zero(t, n)
			n, err = b.DiscardDead(t.Context(), none)
			require.NoError(t, err)
			assert.Zero(t, n)
			rows, err := b.Status(t.Context(), dispatcher.StatusFilter{Routes: []dispatcher.RouteID{id}})
			require.NoError(t, err)
			assert.Empty(t, rows)
			n, err = b.Purge(t.Context(), id)
			require.NoError(t, err)
			assert.Zero(t, n)
		}
		assert.Len(t, b.dead(everyDead), 2)
	})
}

// What a tenant cannot see in its lane it cannot send or remove.
func TestForeignDeadLettersAreNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := memoryqueue.New(memoryqueue.Options{})
		for i := range 4 {
			e := newNote(i, event.Meta{Tenant: []string{"b", "a"}[i%2], ID: fmt.Sprint(i)})
			require.NoError(t, q.Enqueue(t.Context(), queue.Job{Event: e, Lane: "a/r"}))
		}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{{Name: "r", Tenant: "a", Channel: refusing()}}})
		b.run()
		synctest.Wait()
		require.Len(t, b.dead(everyDead), 4)
		for _, f := range []dispatcher.DeadLetterFilter{{Tenants: []string{"a"}}, {Routes: []dispatcher.RouteID{{Tenant: "a", Name: "r"}}}} {
			require.Len(t, b.dead(f), 2)
			n, err := b.RedeliverDead(t.Context(), f)
			require.NoError(t, err)
			assert.Equal(t, 2, n)
			synctest.Wait()
		}
		n, err := b.DiscardDead(t.Context(), dispatcher.DeadLetterFilter{Tenants: []string{"a"}})
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Len(t, b.dead(everyDead), 2)
	})
}
