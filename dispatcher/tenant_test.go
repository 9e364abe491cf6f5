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
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// mark stands for data of a tenant that no other may see.
func mark(tenant string) string { return "secret-of-" + tenant + "-only" }

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
		Attempted: func(a dispatcher.Attempt) { l.add(a.Tenant, "attempt", a.Err, string(a.Delivery.Event.JSON())) },
		Settled: func(s dispatcher.Settlement) {
			l.add(s.Tenant, "settlement", s.Reason, s.Err, string(s.Delivery.Event.JSON()))
		},
		Disabled: func(d dispatcher.Disablement) { l.add(d.Tenant, "disablement", d.Reason) },
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
						_, _ = engine.RedeliverDead(ctx, queue.Selection{Lane: fmt.Sprint("r", r.IntN(3))})
					}
					rows, err := engine.Status(ctx)
					require.NoError(t, err)
					for _, row := range rows {
						all.add(row.Tenant, "status", row)
						letters, err := engine.DeadLetters(ctx, queue.Selection{Lane: row.Name, Limit: r.IntN(4)})
						require.NoError(t, err)
						for _, letter := range letters {
							all.add(row.Tenant, "dead letter", letter.Reason, string(letter.Event.JSON()))
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

// A name that passes to another tenant: what waited becomes dead under its own tenant, and everything else begins anew.
func TestRouteNamePassesToAnotherTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var theirs, ours channeltest.Recorder
		theirs.Script(failures(3)...)
		route := breaking(&theirs)
		route.Tenant, route.Protect.Fallback = "a", "later"
		route.Rate = dispatcher.Rate{Events: 3, Per: 24 * time.Hour, Burst: 3}
		b := start(t, route, dispatcher.Route{Name: "later", Tenant: "a", Channel: new(channeltest.Recorder), Events: event.Types("grant.*")})
		for i := range 4 {
			b.dispatch(newNote(i, event.Meta{Tenant: "a"}))
		}
		synctest.Wait()
		assert.Equal(t, "breaker open", b.status("r").Condition())
		assert.NotEmpty(t, b.status("r").LastError)

		b.setRoutes(dispatcher.Route{Name: "r", Tenant: "b", Channel: &ours, Rate: route.Rate})
		s := b.status("r")
		assert.Empty(t, s.LastError)
		assert.Equal(t, "enabled", s.Condition())
		assert.Zero(t, s.Failed)
		assert.True(t, s.FailingSince.IsZero())
		b.dispatch(newNote(9, event.Meta{Tenant: "b"}))
		advance(24 * time.Hour)
		assert.Len(t, ours.Deliveries(), 1, "which is not paced by what went to the other")
		assert.Equal(t, 4, b.seen.results("r")[dispatcher.Dead])
		for _, s := range b.seen.settledOf("r") {
			assert.Equal(t, s.Delivery.Event.Tenant(), s.Tenant)
		}
		assert.Zero(t, b.status("r").Dead, "none is this tenant's")
		letters, err := b.DeadLetters(t.Context(), queue.Selection{Lane: "r"})
		require.NoError(t, err)
		assert.Empty(t, letters)
		letters, err = b.DeadLetters(t.Context(), queue.Selection{})
		require.NoError(t, err)
		assert.Len(t, letters, 4, "the host sees them")
	})
}

func TestDeadLettersOfALaneByPage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := dispatcher.Route{Name: "r", Tenant: dispatcher.AnyTenant, Channel: refusing()}
		b := start(t, route)
		for i := range 30 {
			b.dispatch(newNote(i, event.Meta{Tenant: []string{"a", "b", "b"}[i%3], ID: fmt.Sprint(i)}))
			synctest.Wait()
		}
		route.Tenant = "a"
		b.setRoutes(route)
		var got []string
		for after := int64(0); ; {
			page, err := b.DeadLetters(t.Context(), queue.Selection{Lane: "r", Limit: 4, After: after})
			require.NoError(t, err)
			for _, letter := range page {
				got = append(got, letter.Event.ID())
				after = letter.Seq
			}
			if len(page) < 4 {
				break
			}
		}
		assert.Equal(t, []string{"0", "3", "6", "9", "12", "15", "18", "21", "24", "27"}, got)
	})
}
