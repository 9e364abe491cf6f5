package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// mark stands for data of a tenant that no other may see.
func mark(tenant string) string { return markBegins + tenant + markEnds }

const markBegins, markEnds = "secret-of-", "-only"

// labelled gathers everything that is reported under a tenant's name.
type labelled struct {
	mu    sync.Mutex
	texts map[string][]string
}

func (l *labelled) add(tenant string, of string, facts ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts[tenant] = append(l.texts[tenant], of+": "+fmt.Sprintf("%+v", facts))
}

func (l *labelled) observer() dispatcher.Observer {
	return dispatcher.Observer{
		Attempted: func(a dispatcher.Attempt) {
			l.add(a.Delivery.Route.Tenant, "attempt", a.Err, string(a.Delivery.Event.JSON()))
		},
		Settled: func(s dispatcher.Settlement) {
			l.add(s.Delivery.Route.Tenant, "settlement", s.Reason, s.Err, string(s.Delivery.Event.JSON()))
		},
		Disabled: func(d dispatcher.Disablement) { l.add(d.Route.Tenant, "disablement", d.Reason) },
	}
}

// failsAloud fails in many ways, and quotes the event in its error.
func failsAloud(seed uint64) channel.Channel {
	r := rand.New(rand.NewPCG(seed, 13))
	var mu sync.Mutex
	return channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		mu.Lock()
		way, takes := r.IntN(9), time.Duration(r.IntN(90))*time.Second
		mu.Unlock()
		<-time.After(takes)
		err := errors.New("refused: " + string(d.Event.JSON()))
		switch way {
		case 0:
			return channel.Receipt{}, nil
		case 1:
			return channel.Receipt{}, retry.Permanent(err)
		case 2:
			return channel.Receipt{}, retry.Permanent(errors.Join(err, channel.ErrGone))
		case 3:
			return channel.Receipt{}, retry.Throttle(err, 10*time.Second)
		case 4:
			return channel.Receipt{}, retry.Postpone(err, time.Minute)
		}
		return channel.Receipt{}, err
	})
}

// However the names of routes pass between tenants while deliveries wait and sends run: nothing of one tenant is in
// anything that is reported under another.
func TestNothingOfATenantIsShownUnderAnother(t *testing.T) {
	t.Parallel()
	tenants := []string{"a", "b", "", dispatcher.AnyTenant}
	seen := new(labelled)
	seen.texts = map[string][]string{}
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 11))
				all := &labelled{texts: map[string][]string{}}
				store := history.NewMemory(0)
				recorder, err := history.NewRecorder(store, history.Options{})
				require.NoError(t, err)
				monitor := health.New(health.Options{Alert: health.Alert{After: -1, Resend: time.Minute, Dead: true}})
				alarms := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
					all.add(d.Event.Tenant(), "alarm", string(d.Event.JSON()))
					return channel.Receipt{}, nil
				})
				routes := func() []dispatcher.Route {
					set := []dispatcher.Route{{Name: "alarms", Tenant: dispatcher.AnyTenant, Channel: alarms, Events: event.Types("tocsin.*")}}
					for i := range 3 {
						if r.IntN(6) == 0 {
							continue
						}
						route := dispatcher.Route{
							Name: fmt.Sprint("r", i), Tenant: tenants[r.IntN(4)], Channel: failsAloud(r.Uint64()), Timeout: -1,
							State: dispatcher.State(r.IntN(3)), Order: dispatcher.Order(r.IntN(3)),
							Retry:   retry.AtMost(1+r.IntN(3), retry.Fixed{Interval: time.Duration(r.IntN(100)) * time.Second}),
							MaxAge:  []time.Duration{0, 10 * time.Minute}[r.IntN(2)],
							Backlog: dispatcher.Backlog{Jobs: 3, Overflow: dispatcher.DropOldest},
							Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 1 + r.IntN(3)}, DisableAfter: 2 * time.Minute},
						}
						if i < 2 && r.IntN(2) == 0 {
							route.Protect.Fallback = "r2"
						}
						set = append(set, route)
					}
					return set
				}
				engine, err := dispatcher.New(dispatcher.Config{Logger: slog.New(slog.DiscardHandler),
					Observers: []dispatcher.Observer{all.observer(), recorder.Observer(), monitor.Observer()}})
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				var ran sync.WaitGroup
				ran.Go(func() { _ = engine.Run(ctx) })
				ran.Go(func() { _ = monitor.Run(ctx, engine) })
				synctest.Wait()
				for n := range 60 {
					short, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(2))*time.Minute)
					_ = engine.SetRoutes(short, routes()) // some are mistaken, and some still send
					cancel()
					for range r.IntN(6) {
						tenant := tenants[r.IntN(3)]
						_ = engine.Dispatch(ctx, event.Must(note{N: n, Text: mark(tenant)}, event.Meta{Tenant: tenant}))
					}
					<-time.After(time.Duration(r.IntN(200)) * time.Second)
					synctest.Wait()
					if r.IntN(4) == 0 {
						_, _ = engine.RedeliverDead(ctx, dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Tenant: tenants[r.IntN(4)], Name: fmt.Sprint("r", r.IntN(3))}}})
					}
					rows, err := engine.Status(ctx, dispatcher.StatusFilter{})
					require.NoError(t, err)
					for _, row := range rows {
						all.add(row.Route.Tenant, "status", row)
						letters, err := engine.DeadLetters(ctx, dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{row.Route}, Limit: r.IntN(4)})
						require.NoError(t, err)
						for _, letter := range letters {
							all.add(row.Route.Tenant, "dead letter", letter.Reason, string(letter.Delivery.Event.JSON()))
						}
					}
				}
				stop()
				ran.Wait()
				advance(2 * time.Minute) // until the sends that ignore their context have returned
				require.NoError(t, recorder.Close(context.Background()))
				for _, tenant := range tenants {
					entries, err := store.Query(context.Background(), history.Query{Tenant: tenant, Limit: 1 << 20})
					require.NoError(t, err)
					for _, entry := range entries {
						text, err := json.Marshal(entry)
						require.NoError(t, err)
						all.add(tenant, "history", entry.Error, string(text))
					}
				}
				for _, tenant := range []string{"a", "b"} {
					other := map[string]string{"a": "b", "b": "a"}[tenant]
					for _, text := range all.texts[tenant] {
						if strings.Contains(text, mark(other)) || strings.Contains(text, mark("")) {
							t.Fatalf("under tenant %s: %s", tenant, text)
						}
						kind, _, _ := strings.Cut(text, ":")
						seen.add("kinds", kind)
					}
				}
			})
		})
	}
	kinds := strings.Join(seen.texts["kinds"], "\n")
	for _, kind := range []string{"attempt", "settlement", "disablement", "alarm", "status", "dead letter", "history"} {
		assert.Contains(t, kinds, kind+":", "it has to have been there at all")
	}
}

// Two tenants have a route of one name, and the name passes from one to the other: they share nothing.
func TestTenantsWithARouteOfOneName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var theirs, ours channeltest.Recorder
		theirs.Script(failures(3)...)
		route := breaking(&theirs)
		route.Tenant, route.Protect.Fallback = "a", "later"
		route.Rate = dispatcher.Rate{Events: 3, Per: 24 * time.Hour, Burst: 3}
		later := dispatcher.Route{Name: "later", Tenant: "a", Channel: new(channeltest.Recorder), Events: event.Types("grant.*")}
		other := dispatcher.Route{Name: "r", Tenant: "b", Channel: &ours, Rate: route.Rate}
		b := start(t, route, later, other)
		for i := range 4 {
			b.dispatch(newNote(i, event.Meta{Tenant: "a"}))
		}
		b.dispatch(newNote(9, event.Meta{Tenant: "b"}))
		synctest.Wait()
		status := func(tenant string) dispatcher.RouteStatus {
			t.Helper()
			all, err := b.Status(t.Context(), dispatcher.StatusFilter{Routes: []dispatcher.RouteID{{Tenant: tenant, Name: "r"}}})
			require.NoError(t, err)
			require.Len(t, all, 1)
			return all[0]
		}
		assert.Equal(t, "breaker open", status("a").Condition())
		assert.Equal(t, "enabled", status("b").Condition())
		assert.Empty(t, status("b").LastError)
		assert.Len(t, ours.Deliveries(), 1, "which is not paced by what went to the other")
		assert.NotEqual(t, theirs.Deliveries()[0].ID()[36:], ours.Deliveries()[0].ID()[36:], "delivery ids are of the route")

		b.setRoutes(other)
		advance(24 * time.Hour)
		assert.Zero(t, status("b").Queued, "nothing of the other's")
		assert.Len(t, ours.Deliveries(), 1)
		assert.Empty(t, b.seen.results("r")[dispatcher.Dead], "it waits for its own route")
		route.State = dispatcher.Paused
		b.setRoutes(route, later, other)
		assert.Equal(t, 4, status("a").Queued, "what waited is still there")
	})
}

// A lane may hold events of another tenant that an earlier version stored: they are dead, under their own
// tenant, and nobody else sees them.
func TestEventsOfAnotherTenantInALane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := memoryqueue.New(memoryqueue.Options{})
		for i := range 30 {
			e := newNote(i, event.Meta{Tenant: []string{"a", "b", "b"}[i%3], ID: fmt.Sprint(i)})
			require.NoError(t, q.Enqueue(t.Context(), queue.Job{Event: e, Lane: "a/r"}))
		}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{
			{Name: "r", Tenant: "a", Channel: refusing(), Protect: dispatcher.Protection{Fallback: "all"}},
			{Name: "all", Tenant: dispatcher.AnyTenant, Channel: refusing(), Events: event.Types("other.*")},
		}})
		b.run()
		synctest.Wait()
		for _, s := range b.seen.settledOf("r") {
			assert.Equal(t, s.Delivery.Event.Tenant(), s.Delivery.Route.Tenant)
		}
		assert.Equal(t, 30, b.seen.results("r")[dispatcher.Dead])
		assert.Len(t, b.seen.attemptsOf("r"), 10)
		assert.Equal(t, int64(10), b.status("r").Dead, "none but this tenant's")
		assert.Equal(t, int64(30), b.status("all").Dead)
		var got []string
		for after := int64(0); ; {
			page, err := b.DeadLetters(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Tenant: "a", Name: "r"}}, Limit: 4, After: after})
			require.NoError(t, err)
			for _, letter := range page {
				got = append(got, letter.Delivery.Event.ID())
				after = letter.Seq
			}
			if len(page) < 4 {
				break
			}
		}
		assert.ElementsMatch(t, []string{"0", "3", "6", "9", "12", "15", "18", "21", "24", "27"}, got)
		all, err := b.DeadLetters(t.Context(), dispatcher.DeadLetterFilter{})
		require.NoError(t, err)
		assert.Len(t, all, 60, "the host sees them all")
	})
}
