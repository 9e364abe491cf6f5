package dispatcher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// tenantStorm is an Engine with many tenants.
type tenantStorm struct {
	*dispatcher.Engine
	t       *testing.T
	search  *leakSearch
	tenants []*stormTenant
	byID    map[string]*stormTenant
	siem    *tally
	store   *history.Memory
	each    int           // events of each tenant
	release chan struct{} // closed when what hangs goes on
	end     func()        // closes it
}

// changesOfEach is how often each tenant changes its routes.
const changesOfEach = 10

// newTenantStorm makes tenants, of which the first few have real HTTP receivers.
func newTenantStorm(t *testing.T, tenants, each int, q queue.Queue) *tenantStorm {
	t.Helper()
	s := &tenantStorm{t: t, search: &leakSearch{seen: map[string]int{}}, byID: map[string]*stormTenant{}, each: each,
		siem: newTally(dispatcher.AnyTenant, false), store: history.NewMemory(50 * tenants), release: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.release) })
	server := webhooktest.Start(t, webhooktest.Options{})
	server.Handle(func(r webhooktest.Request) webhooktest.Response {
		return s.byID[strings.TrimPrefix(r.URI, "/")].respond(r)
	})
	platform := dispatcher.Route{Name: "audit", Tenant: dispatcher.AnyTenant, Channel: s.siem.channel()}
	if q.Properties().Bounded {
		platform.Backlog.Jobs = 2 * tenants * each
	}
	routes := []dispatcher.Route{platform}
	for i := range tenants {
		id := fmt.Sprintf("t%04d", i)
		tenant := &stormTenant{id: id, storm: s, kind: kind(i) % kinds, leaver: i%int(2*kinds) == 0, audit: newTally(id, false),
			tickets: newTally(id, true), special: newTally(id, false), extra: newTally(id, false)}
		tenant.tickets.fails = true
		tenant.steady = &boxedPointer{tenant.audit.channel()}
		tenant.alerts = &boxedPointer{channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			s.search.look(id, "alert", string(d.Event.JSON()))
			return channel.Receipt{}, nil
		})}
		tenant.channel = tenant
		if i < 4*int(kinds) {
			c := server.Config()
			c.URL += "/" + id
			c.Timeouts = netguard.Timeouts{Header: time.Hour, Total: time.Hour}
			hook, err := webhook.New(c)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, hook.Close()) })
			tenant.channel = hook
		}
		s.tenants, s.byID[id] = append(s.tenants, tenant), tenant
		routes = append(routes, tenant.routes(0)...)
	}
	logger := slog.New(slog.NewJSONHandler(s.search, &slog.HandlerOptions{Level: slog.LevelDebug}))
	monitor := health.New(health.Options{Alert: health.Alert{After: -1, Resend: -1, Dead: true}, Logger: logger})
	recorder, err := history.NewRecorder(s.store, history.Options{Logger: logger})
	require.NoError(t, err)
	s.Engine, err = dispatcher.New(dispatcher.Config{Routes: routes, Queue: q, Logger: logger,
		Observers: []dispatcher.Observer{s.observer(), monitor.Observer(), recorder.Observer()}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, s.Run(ctx)) })
	running.Go(func() { _ = monitor.Run(ctx, s) })
	t.Cleanup(func() {
		s.end()
		stop()
		running.Wait()
		assert.NoError(t, recorder.Close(context.Background()))
	})
	return s
}

func (s *tenantStorm) observer() dispatcher.Observer {
	return dispatcher.Observer{
		Dispatched: func(e event.Event, routes int) {
			if e.Type() == note.EventType(note{}) {
				s.byID[e.Tenant()].accepted.Add(int64(routes))
			}
		},
		Attempted: func(a dispatcher.Attempt) {
			tenant := a.Delivery.Route.Tenant
			s.search.look(tenant, "attempt", errorText(a.Err), string(a.Delivery.Event.JSON()))
			s.search.look(tenant, "receipt", bodies(a.Receipt.Request, a.Receipt.Response)...)
		},
		Settled: func(d dispatcher.Settlement) {
			s.search.look(d.Delivery.Route.Tenant, "settlement", d.Reason, errorText(d.Err), string(d.Delivery.Event.JSON()))
			if d.Delivery.Event.Type() == note.EventType(note{}) {
				s.byID[d.Delivery.Event.Tenant()].settled.Add(1)
			}
		},
		Disabled: func(d dispatcher.Disablement) {
			s.search.look(d.Route.Tenant, "disablement", errorText(d.Reason))
			s.byID[d.Route.Tenant].disabled.Add(1)
		},
	}
}

// dispatch sends event n of a tenant.
func (s *tenantStorm) dispatch(t *stormTenant, n int) {
	e := event.Must(note{N: n, Text: mark(t.id)}, event.Meta{Tenant: t.id, Subject: fmt.Sprint("subject-", n%3)})
	assert.NoError(s.t, s.Dispatch(context.Background(), e))
}

// change makes a tenant's change of that number. It waits for nobody else's receiver: those that hang do so until all
// changes are made.
func (s *tenantStorm) change(ctx context.Context, t *stormTenant, n int) {
	mistaken := append(t.routes(n), dispatcher.Route{Name: "extra " + mark(t.id), Tenant: t.id})
	err := s.SetTenant(ctx, t.id, append(mistaken, mistaken[0]))
	assert.Error(s.t, err)
	s.search.look(t.id, "error", err.Error())
	assert.NoError(s.t, s.SetTenant(ctx, t.id, t.routes(n)))
}

// inspect searches everything that can be asked about a tenant.
func (s *tenantStorm) inspect(tenant *stormTenant) []dispatcher.RouteStatus {
	ctx := context.Background()
	rows, err := s.Status(ctx, dispatcher.StatusFilter{Tenants: []string{tenant.id}})
	assert.NoError(s.t, err)
	for _, row := range rows {
		assert.Equal(s.t, tenant.id, row.Route.Tenant)
		s.search.look(tenant.id, "status", fmt.Sprintf("%+v", row))
	}
	letters, err := s.DeadLetters(ctx, dispatcher.DeadLetterFilter{Tenants: []string{tenant.id}, Limit: 5})
	assert.NoError(s.t, err)
	for _, letter := range letters {
		s.search.look(tenant.id, "dead letter", letter.Reason, string(letter.Delivery.Event.JSON()))
	}
	entries, err := s.store.Query(ctx, history.Query{Tenant: tenant.id})
	assert.NoError(s.t, err)
	for _, entry := range entries {
		text, err := json.Marshal(entry)
		assert.NoError(s.t, err)
		s.search.look(tenant.id, "history", string(text), entry.Error)
		s.search.look(tenant.id, "history", bodies(entry.Request, entry.Response)...)
	}
	return rows
}

// run dispatches each*tenants events while every tenant changes its routes, and returns once all changes are made.
// Producers and changes keep pace. leavers get what the changes of tenants that replace a hanging receiver return.
func (s *tenantStorm) run(ctx context.Context, leavers chan<- error) {
	const producers, changers = 4, 8
	pace, produced := make(chan struct{}, changers), make(chan struct{})
	var producing, changing sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			sent := 0
			for n := early; n < s.each; n++ {
				for i := p; i < len(s.tenants); i += producers {
					if sent++; sent%(s.each/changesOfEach) == 0 {
						<-pace
					}
					s.dispatch(s.tenants[i], n)
				}
			}
		})
	}
	step := func(t *stormTenant, n int) {
		s.change(ctx, t, n)
		s.inspect(s.tenants[rand.IntN(len(s.tenants))])
		select {
		case pace <- struct{}{}:
		case <-produced:
		}
	}
	for c := range changers {
		changing.Go(func() {
			for i := c; i < len(s.tenants); i += changers {
				if t := s.tenants[i]; t.leaver {
					for n := 1; n < changesOfEach; n++ {
						step(t, n)
					}
					t.channel = t.special.channel()
					routes := t.routes(changesOfEach)
					go func() { leavers <- s.SetTenant(ctx, t.id, routes) }()
				}
			}
			for n := 1; n <= changesOfEach; n++ {
				for i := c; i < len(s.tenants); i += changers {
					if t := s.tenants[i]; !t.leaver {
						step(t, n)
					}
				}
			}
		})
	}
	go func() { producing.Wait(); close(produced) }()
	changing.Wait()
	close(pace)
	<-produced
}

// verifyHeld checks what the receivers that do not work got: nothing since the changes began.
func (s *tenantStorm) verifyHeld() {
	for _, t := range s.tenants {
		_, attempts := t.kind.special()
		for _, row := range s.inspect(t) {
			switch {
			case row.Route.Name != "special" || t.leaver:
			case t.kind == hangs:
				assert.Equal(s.t, attempts, t.tried.Load(), t.id)
				assert.Equal(s.t, [2]int{s.each - int(attempts), int(attempts)}, [2]int{row.Queued, row.InFlight}, t.id)
			case t.kind == gone:
				assert.Equal(s.t, attempts, t.tried.Load(), t.id)
				assert.Equal(s.t, attempts, t.disabled.Load(), t.id)
				assert.Equal(s.t, "gone", row.Condition(), t.id)
			case t.kind == fails:
				assert.Equal(s.t, attempts, t.tried.Load(), t.id)
				assert.Equal(s.t, "breaker open", row.Condition(), t.id)
				assert.Equal(s.t, s.each, row.Queued, t.id)
			}
		}
	}
}

// verifyDelivered checks that nothing was lost and nothing doubled, once nothing is due any more.
func (s *tenantStorm) verifyDelivered() {
	verify := func(tally *tally, name string, want int) {
		assert.Empty(s.t, tally.problems, name)
		assert.Len(s.t, tally.taken, want, name)
		for id, n := range tally.taken {
			assert.Equal(s.t, 1, n, "%s: %s", name, id)
		}
	}
	require.Eventually(s.t, func() bool {
		for _, t := range append(s.tenants, &stormTenant{id: dispatcher.AnyTenant}) {
			rows, err := s.Status(context.Background(), dispatcher.StatusFilter{Tenants: []string{t.id}})
			require.NoError(s.t, err)
			for _, row := range rows {
				if row.Condition() == "enabled" && row.Queued+row.InFlight > 0 {
					return false
				}
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
	verify(s.siem, "the platform's", len(s.tenants)*s.each)
	for _, t := range s.tenants {
		verify(t.audit, t.id+" audit", s.each)
		verify(t.tickets, t.id+" tickets", s.each)
		verify(t.extra, t.id+" extra", len(t.extra.taken))
		assert.NotEmpty(s.t, t.extra.taken)
		waiting := 0
		for _, row := range s.inspect(t) {
			waiting += row.Queued
		}
		assert.Equal(s.t, t.accepted.Load(), t.settled.Load()+int64(waiting), t.id)
		assert.Equal(s.t, 3*s.each+len(t.extra.taken)+s.each, int(t.accepted.Load()), "%s: audit, tickets, special, extra, and the platform's", t.id)
		switch t.kind {
		case hangs:
			verify(t.special, t.id+" special", s.each)
		case refuses:
			assert.EqualValues(s.t, s.each, t.tried.Load(), t.id)
		default:
			assert.NotZero(s.t, waiting, t.id)
		}
	}
}

func runTenantStorm(t *testing.T, tenants, each int, q queue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // for the failure's sake: nothing takes long
	defer cancel()
	s := newTenantStorm(t, tenants, each, q)
	for n := range early {
		for _, tenant := range s.tenants {
			s.dispatch(tenant, n)
		}
	}
	require.Eventually(t, func() bool {
		for _, tenant := range s.tenants {
			if _, attempts := tenant.kind.special(); tenant.tried.Load() < attempts {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
	leavers := make(chan error, tenants)
	began := time.Now()
	s.run(ctx, leavers)
	t.Logf("%d changes during %d events in %v", changesOfEach*tenants, each*tenants, time.Since(began).Round(time.Millisecond))
	assert.Empty(t, leavers, "their own receivers still hang, and only they wait for them")
	s.verifyHeld()
	s.end()
	for _, tenant := range s.tenants {
		if tenant.leaver {
			require.NoError(t, <-leavers)
		}
	}
	s.verifyDelivered()
	if left := leftBy(t, s.Shutdown(context.Background())); assert.NotEmpty(t, left.Left) {
		for _, l := range left.Left {
			assert.Equal(t, "special", l.Route.Name)
		}
	}
	assert.Empty(t, s.search.leaks)
	for _, where := range []string{"attempt", "receipt", "request", "settlement", "disablement", "alert", "status", "dead letter", "history", "log", "error"} {
		assert.NotZero(t, s.search.seen[where], "%s: it has to have been there at all", where)
	}
	t.Logf("searched: %v", s.search.seen)
}

// stormVariable is an environment variable: TOCSIN_STORM=full has 1,000 tenants and 200,000 events.
const stormVariable = "TOCSIN_STORM"

// While tenants with routes of the same names change them, receivers hang, fail, refuse and are gone: nothing is lost
// or doubled, nothing of one tenant is found under another, no change waits for another tenant's receiver, and breakers
// and gone destinations of others get no other try.
func TestTenantsChangeRoutesDuringAStorm(t *testing.T) {
	t.Parallel()
	tenants, each := 48, 60
	if os.Getenv(stormVariable) == "full" {
		tenants, each = 1000, 200
	}
	runTenantStorm(t, tenants, each, memoryqueue.New(memoryqueue.Options{}))
}
