package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// With random routes and tenants, half of the filters empty, every event reaches exactly the routes it is for.
func TestNoEventCrossesTenants(t *testing.T) {
	t.Parallel()
	tenants := []string{"", "a", "b", "c", "*a", " "}
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			var routes []dispatcher.Route
			recorders := map[string]*channeltest.Recorder{}
			for i := range 1 + rnd.IntN(12) {
				r := dispatcher.Route{Name: fmt.Sprint("r", i), Tenant: tenants[rnd.IntN(len(tenants))]}
				if rnd.IntN(4) == 0 {
					r.Tenant = dispatcher.AnyTenant
				}
				if rnd.IntN(4) == 0 {
					r.Events = event.Types("note.*")
				} else if rnd.IntN(4) == 0 {
					r.Events = event.Types("grant.*")
				}
				recorders[r.Name] = new(channeltest.Recorder)
				r.Channel = recorders[r.Name]
				routes = append(routes, r)
			}
			b := start(t, routes...)
			want := map[string][]string{}
			for i := range 40 {
				e := newNote(i, event.Meta{ID: fmt.Sprint("e", i), Tenant: tenants[rnd.IntN(len(tenants))]})
				for _, r := range routes {
					if (r.Tenant == dispatcher.AnyTenant || r.Tenant == e.Tenant()) && r.Events.Match(e) {
						want[r.Name] = append(want[r.Name], e.ID())
					}
				}
				b.dispatch(e)
			}
			synctest.Wait()
			for _, r := range routes {
				got := ids(recorders[r.Name].Deliveries())
				slices.Sort(got)
				slices.Sort(want[r.Name])
				require.Equal(t, want[r.Name], got, "seed %d, route %s of tenant %q", seed, r.Name, r.Tenant)
			}
		})
	}
}

// An event with the tenant "*" belongs to a tenant of that name, not to all.
func TestAnyTenantIsAWordForRoutesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var everyone, own, none channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "any", Channel: &everyone, Tenant: dispatcher.AnyTenant},
			dispatcher.Route{Name: "own", Channel: &own, Tenant: "a"}, dispatcher.Route{Name: "none", Channel: &none})
		b.dispatch(newNote(1, event.Meta{ID: "star", Tenant: "*"}), newNote(2, event.Meta{ID: "none"}), newNote(3, event.Meta{ID: "a", Tenant: "a"}))
		synctest.Wait()
		assert.ElementsMatch(t, []string{"star", "none", "a"}, ids(everyone.Deliveries()))
		assertIDs(t, []string{"a"}, own.Deliveries())
		assertIDs(t, []string{"none"}, none.Deliveries())
	})
}

// A name can pass to another tenant while deliveries wait under it. They are not the new one's, and wait for their own.
func TestQueuedDeliveriesDoNotFollowANameToAnotherTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var previous, later channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "slack", Channel: &previous, Tenant: "a", State: dispatcher.Paused})
		b.dispatch(newNote(1, event.Meta{ID: "secret-of-a", Tenant: "a"}))
		b.setRoutes(dispatcher.Route{Name: "slack", Channel: &later, Tenant: "b"})
		b.dispatch(newNote(2, event.Meta{ID: "of-b", Tenant: "b"}))
		synctest.Wait()
		assertIDs(t, []string{"of-b"}, later.Deliveries())
		letters, err := b.DeadLetters(context.Background(), everyDead)
		require.NoError(t, err)
		require.Empty(t, letters)

		b.setRoutes(dispatcher.Route{Name: "slack", Channel: &previous, Tenant: "a"})
		synctest.Wait()
		assertIDs(t, []string{"secret-of-a"}, previous.Deliveries(), "it is not lost either")
	})
}

// More types than the index remembers are served all the same.
func TestManyTypes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Events: event.Types("host.*")})
		for i := range 600 {
			b.dispatch(event.Must(typed(fmt.Sprintf("host.t%d", i)), event.Meta{}))
		}
		b.dispatch(event.Must(typed("other.t"), event.Meta{}))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 600)
		assert.EqualValues(t, 1, b.Unrouted())
	})
}

type typed event.Type

func (p typed) EventType() event.Type        { return event.Type(p) }
func (p typed) MarshalJSON() ([]byte, error) { return []byte(`{}`), nil }
