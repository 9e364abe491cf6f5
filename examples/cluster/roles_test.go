package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/natsdedup"
	"github.com/tocsin-go/tocsin/event"
)

const patience = time.Minute

// sendings are what the workers sent, all of them together.
type sendings struct {
	mu   sync.Mutex
	sent map[string][]string // workers by route and event id
}

// sends is the channel of a worker.
func (l *sendings) sends(worker string) channel.Channel {
	return channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sent[d.Route.Name+" "+d.Event.ID()] = append(l.sent[d.Route.Name+" "+d.Event.ID()], worker)
		return channel.Receipt{}, nil
	})
}

func (l *sendings) of(route, id string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[route+" "+id]
}

func (l *sendings) await(t *testing.T, route, id string) []string {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.of(route, id)) > 0 }, patience, 5*time.Millisecond, "%s %s", route, id)
	return l.of(route, id)
}

// engineOn makes an Engine with a connection of its own, as a process of its own has; run = it delivers.
func engineOn(t *testing.T, urls string, run bool, rs ...dispatcher.Route) *dispatcher.Engine {
	t.Helper()
	nc, err := connect(urls)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	q, err := openQueue(t.Context(), nc)
	require.NoError(t, err)
	t.Cleanup(q.Close)
	store, err := natsdedup.New(t.Context(), nc, natsdedup.Config{Replicas: nodes})
	require.NoError(t, err)
	e, err := dispatcher.New(dispatcher.Config{Queue: q, Routes: rs, DedupStore: store, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	if run {
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan error, 1)
		go func() { stopped <- e.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-stopped })
	}
	return e
}

func fact(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: "because"}, event.Meta{ID: id, Subject: "grant"})
}

func startForTest(t *testing.T) (urls string) {
	t.Helper()
	all, urls, err := startNodes(t.Context(), t.TempDir())
	t.Cleanup(func() { stopAll(all) })
	require.NoError(t, err)
	return urls
}

// One process only dispatches, two only deliver. A route is added in one worker and removed in another while the rest
// run the old set: no event is lost, and none goes to a worker that does not know its route.
func TestRoutesChangeWhileOthersRunTheOldSet(t *testing.T) {
	t.Parallel()
	urls := startForTest(t)
	l := &sendings{sent: map[string][]string{}}
	route := func(name, worker string) dispatcher.Route {
		return dispatcher.Route{Name: name, Channel: l.sends(worker)}
	}
	first := engineOn(t, urls, true, route("old", "first"))
	engineOn(t, urls, true, route("old", "second"))
	product := engineOn(t, urls, false, route("old", "product"))

	require.NoError(t, product.Dispatch(t.Context(), fact("a")))
	assert.NotContains(t, l.await(t, "old", "a"), "product")

	// The product knows the new route before any worker does: its events wait.
	require.NoError(t, product.SetRoutes(t.Context(), []dispatcher.Route{route("old", "product"), route("new", "product")}))
	require.NoError(t, product.Dispatch(t.Context(), fact("b")))
	l.await(t, "old", "b")
	assert.Empty(t, l.of("new", "b"))
	// One worker gets the new set, which lacks the old route; the other runs the old set and has that route to itself.
	require.NoError(t, first.SetRoutes(t.Context(), []dispatcher.Route{route("new", "first")}))
	assert.Equal(t, []string{"first"}, l.await(t, "new", "b"))
	for n := range 20 {
		id := fmt.Sprint(n)
		require.NoError(t, product.Dispatch(t.Context(), fact(id)))
		assert.Equal(t, []string{"second"}, l.await(t, "old", id))
		assert.Equal(t, []string{"first"}, l.await(t, "new", id))
	}
}

// What one process schedules another delivers, and a third can cancel.
func TestQ11ScheduleIsSharedByProcesses(t *testing.T) {
	t.Parallel()
	urls := startForTest(t)
	l := &sendings{sent: map[string][]string{}}
	routes := []dispatcher.Route{{Name: "old", Channel: l.sends("worker")}}
	engineOn(t, urls, true, routes...)
	product, other := engineOn(t, urls, false, routes...), engineOn(t, urls, false, routes...)
	at := time.Now().Add(time.Second)
	require.NoError(t, product.Schedule(t.Context(), at.Add(2*time.Second), "never", fact("never")))
	require.NoError(t, product.Schedule(t.Context(), at, "soon", fact("soon")))
	found, err := other.Cancel(t.Context(), "never")
	require.NoError(t, err)
	assert.True(t, found)
	l.await(t, "old", "soon")
	assert.False(t, time.Now().Before(at))
	require.NoError(t, product.Schedule(t.Context(), at.Add(3*time.Second), "last", fact("last")))
	l.await(t, "old", "last")
	assert.Empty(t, l.of("old", "never"))
}

// The same fact in many events is delivered once within the window, whichever of four workers gets them.
func TestDedupHoldsAcrossWorkers(t *testing.T) {
	t.Parallel()
	urls := startForTest(t)
	l := &sendings{sent: map[string][]string{}}
	route := func(worker string) dispatcher.Route {
		return dispatcher.Route{Name: routeName, Channel: l.sends(worker), Dedup: channel.DedupOptions{Window: time.Hour}}
	}
	for n := range 4 {
		engineOn(t, urls, true, route(fmt.Sprint(n)))
	}
	product := engineOn(t, urls, false, route("product"))
	for n := range 40 {
		require.NoError(t, product.Dispatch(t.Context(), fact(fmt.Sprint(n))))
	}
	require.NoError(t, product.Dispatch(t.Context(), event.Must(event.GrantRevoked{Reason: "another"}, event.Meta{ID: "another"})))
	nc, err := connect(urls)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	q, err := openQueue(t.Context(), nc)
	require.NoError(t, err)
	t.Cleanup(q.Close)
	require.NoError(t, drained(t.Context(), q))
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Len(t, l.sent, 2, "one of the forty, and the other one")
}
