package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// slow takes a time for each send, whatever its context says, and counts those that run.
type slow struct {
	channeltest.Recorder
	takes   time.Duration
	running atomic.Int32
}

func (s *slow) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	<-time.After(s.takes)
	return s.Recorder.Send(ctx, d)
}

func TestSetRoutesWaitsForSendsOfReplacedRoutes(t *testing.T) {
	t.Parallel()
	for name, next := range map[string][]dispatcher.Route{
		"replaced": {{Name: "r", Channel: new(channeltest.Recorder)}},
		"removed":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				previous := &slow{takes: time.Minute}
				b := start(t, dispatcher.Route{Name: "r", Channel: previous})
				b.dispatch(notes(3)...)
				advance(20 * time.Second)
				assert.EqualValues(t, 3, previous.running.Load())
				b.setRoutes(next...)
				assert.Equal(t, time.Minute, time.Since(b.began), "returns with the last send")
				assert.Zero(t, previous.running.Load())
				advance(time.Hour)
				assert.Len(t, previous.Deliveries(), 3)
				assert.Len(t, b.seen.settledOf("r"), 3, "the old sends count")
			})
		})
	}
}

func TestSetRoutesWithContextDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, c := &slow{takes: time.Minute}, &slow{takes: time.Hour}
		var later channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "b", Channel: c}, dispatcher.Route{Name: "a", Channel: a}, dispatcher.Route{Name: "idle", Channel: a, Events: event.Types("x.y")})
		b.dispatch(notes(2)...)
		synctest.Wait()
		next := []dispatcher.Route{{Name: "a", Channel: &later}, {Name: "new", Channel: &later}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.SetRoutes(ctx, next)
		busy, ok := errors.AsType[*dispatcher.InUseError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, []dispatcher.RouteID{named("a"), named("b")}, busy.Routes)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `previous channels of "a", "b" still run`)

		b.dispatch(newNote(9, event.Meta{ID: "next"}))
		synctest.Wait()
		assertIDs(t, []string{"next", "next"}, later.Deliveries(), "the new routes are in force")

		assert.ErrorAs(t, b.SetRoutes(ctx, next), new(*dispatcher.InUseError), "asked again it says the same")
		b.setRoutes(next...)
		assert.Equal(t, time.Hour, time.Since(b.began), "and waits for all previous channels, not only the latest ones")
		assert.Zero(t, a.running.Load()+c.running.Load())
		assert.Equal(t, 2, b.seen.results("b")[dispatcher.Delivered], "the removed route's sends ended in their own time")
	})
}

func TestInUseErrorNamesARouteOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := func() dispatcher.Route { return dispatcher.Route{Name: "r", Channel: &slow{takes: time.Minute}} }
		b := start(t, route())
		for _, e := range notes(3) { // each is sent by another generation of the route
			b.dispatch(e)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			busy, ok := errors.AsType[*dispatcher.InUseError](b.SetRoutes(ctx, []dispatcher.Route{route()}))
			require.True(t, ok)
			assert.Equal(t, []dispatcher.RouteID{named("r")}, busy.Routes)
		}
		b.setRoutes(route())
		assert.Equal(t, time.Minute+2*time.Second, time.Since(b.began))
	})
}

func TestLaneOfARemovedRouteHoldsWhatItHas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec, later channeltest.Recorder
		rec.Script(channeltest.Fail(errDown), channeltest.Fail(errDown))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Minute}})
		b.dispatch(notes(2)...)
		advance(time.Second)
		b.setRoutes()
		b.dispatch(newNote(9, event.Meta{ID: "missed"}))
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 2)
		assert.Empty(t, b.statuses())

		b.setRoutes(dispatcher.Route{Name: "other", Channel: &later})
		synctest.Wait()
		assert.Empty(t, later.Deliveries())
		b.setRoutes(dispatcher.Route{Name: "r", Channel: &later})
		synctest.Wait()
		assert.ElementsMatch(t, []string{"e-0", "e-1"}, ids(later.Deliveries()), "a route of that name takes it up")
		for _, d := range later.Deliveries() {
			assert.Equal(t, 2, d.Attempt)
		}
	})
}

func TestPurge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, State: dispatcher.Paused, Order: dispatcher.Strict},
			dispatcher.Route{Name: "kept", Channel: &rec, State: dispatcher.Paused})
		b.dispatch(notes(5)...)
		b.setRoutes(dispatcher.Route{Name: "kept", Channel: &rec, State: dispatcher.Paused})
		n, err := b.Purge(t.Context(), named("r"))
		require.NoError(t, err)
		assert.Equal(t, 5, n, "also of a removed route")
		n, err = b.Purge(t.Context(), named("nobody"))
		require.NoError(t, err)
		assert.Zero(t, n)
		b.setRoutes(dispatcher.Route{Name: "r", Channel: &rec}, dispatcher.Route{Name: "kept", Channel: &rec, State: dispatcher.Paused})
		synctest.Wait()
		assert.Empty(t, rec.Deliveries())
		assert.Equal(t, 5, b.status("kept").Queued)
	})
}

// Each Dispatch sees one set of routes: every event reaches both routes of one set and none of the other.
func TestSetRoutesIsAtomic(t *testing.T) {
	t.Parallel()
	recorders := map[string]*channeltest.Recorder{}
	set := func(events event.Filter, names ...string) []dispatcher.Route {
		var routes []dispatcher.Route
		for _, name := range names {
			if recorders[name] == nil {
				recorders[name] = new(channeltest.Recorder)
			}
			routes = append(routes, dispatcher.Route{Name: name, Channel: recorders[name], Events: events})
		}
		return routes
	}
	x, y := set(event.Filter{}, "x1", "x2"), set(event.Filter{}, "y1", "y2")
	b := start(t, x...)
	const producers, most = 8, 1000
	var accepted atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := 0; i < most && !stop.Load(); i++ {
				assert.NoError(t, b.Dispatch(context.Background(), newNote(i, event.Meta{ID: fmt.Sprintf("%d-%d", p, i)})))
				accepted.Add(1)
			}
		})
	}
	for change := range 60 {
		b.setRoutes([][]dispatcher.Route{y, x}[change%2]...)
	}
	stop.Store(true)
	wg.Wait()
	b.setRoutes(set(event.Types("nothing.more"), "x1", "x2", "y1", "y2")...) // what is held comes out
	require.NoError(t, b.Shutdown(t.Context()))

	got := map[string][]string{}
	for _, name := range []string{"x1", "x2", "y1", "y2"} {
		for _, d := range recorders[name].Deliveries() {
			got[d.Event.ID()] = append(got[d.Event.ID()], name)
		}
	}
	assert.Len(t, got, int(accepted.Load()))
	for id, names := range got {
		if s := strings.Join(names, " "); s != "x1 x2" && s != "y1 y2" {
			assert.Fail(t, "event "+id+" went to "+s)
		}
	}
}

// counting is a queue that counts its open lanes.
type counting struct {
	*memoryqueue.Queue
	open *atomic.Int32
}

func (c counting) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	l, err := c.Queue.Open(name, o, h)
	if err == nil {
		c.open.Add(1)
		l = countedLane{l, c.open}
	}
	return l, err
}

type countedLane struct {
	queue.Lane
	open *atomic.Int32
}

func (l countedLane) Stop(ctx context.Context) error {
	l.open.Add(-1)
	return l.Lane.Stop(ctx)
}

// The bubble ends only when no goroutine is left.
func TestAThousandChangesLeakNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var open atomic.Int32
		var rec channeltest.Recorder
		b := setupWith(t, dispatcher.Config{Queue: counting{memoryqueue.New(memoryqueue.Options{}), &open}})
		b.run()
		synctest.Wait()
		for i := range 1000 {
			b.setRoutes(dispatcher.Route{Name: fmt.Sprint("r", i), Channel: &rec}, dispatcher.Route{Name: "stays", Channel: &rec})
			b.dispatch(newNote(i, event.Meta{}))
			synctest.Wait()
			require.EqualValues(t, 3, open.Load(), "two routes and the schedule")
		}
		assert.Len(t, rec.Deliveries(), 2000)
		require.NoError(t, b.Shutdown(t.Context()))
		assert.Zero(t, open.Load())
	})
}

// A send that outlives its SetRoutes keeps its lane, and no longer than that.
func TestLaneOfARemovedRouteStaysWhileItSends(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var open atomic.Int32
		previous := &slow{takes: time.Minute}
		b := setupWith(t, dispatcher.Config{Queue: counting{memoryqueue.New(memoryqueue.Options{}), &open},
			Routes: []dispatcher.Route{{Name: "r", Channel: previous}}})
		b.run()
		b.dispatch(notes(1)...)
		synctest.Wait()
		b.setRoutes(dispatcher.Route{Name: "r", Channel: previous, Timeout: -1})
		assert.Zero(t, time.Since(b.began), "the channel is still used")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorAs(t, b.SetRoutes(ctx, nil), new(*dispatcher.InUseError))
		assert.EqualValues(t, 2, open.Load(), "the route before the last one still sends")
		advance(time.Minute)
		assert.Equal(t, 1, b.seen.results("r")[dispatcher.Delivered], "its context was left alone")
		assert.EqualValues(t, 1, open.Load())
	})
}

// late is a queue in which a job that was taken reaches its handler only after a while.
type late struct {
	*memoryqueue.Queue
	goOn chan struct{}
}

func (l late) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	return l.Queue.Open(name, o, func(ctx context.Context, j queue.Job) queue.Disposition {
		<-l.goOn
		return h(ctx, j)
	})
}

// Once SetRoutes has returned, a route that is disabled or removed sends nothing, not even what a worker had taken.
func TestSetRoutesOvertakesJobsThatWereTaken(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]dispatcher.State{"disabled": dispatcher.Disabled, "paused": dispatcher.Paused, "removed": 99} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				next := []dispatcher.Route{{Name: "r", Channel: &rec, State: state}}
				if name == "removed" {
					next = nil
				}
				q := late{memoryqueue.New(memoryqueue.Options{}), make(chan struct{})}
				b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{{Name: "r", Channel: &rec}}})
				b.run()
				b.dispatch(notes(2)...)
				synctest.Wait()
				changed := make(chan error, 1)
				go func() { changed <- b.SetRoutes(context.Background(), next) }()
				synctest.Wait()
				close(q.goOn)
				require.NoError(t, <-changed)
				advance(time.Hour)
				assert.Empty(t, rec.Deliveries())
				assert.Empty(t, b.seen.attempts)
				b.setRoutes(dispatcher.Route{Name: "r", Channel: &rec})
				synctest.Wait()
				require.Len(t, rec.Deliveries(), 2)
				assert.Equal(t, 1, rec.Deliveries()[0].Attempt)
			})
		})
	}
}

func TestConcurrentSetRoutesAndRemovals(t *testing.T) {
	t.Parallel()
	var rec channeltest.Recorder
	b := start(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				var routes []dispatcher.Route
				for n := range 3 {
					if (i+g+n)%3 > 0 {
						routes = append(routes, dispatcher.Route{Name: fmt.Sprint("r", n), Channel: &rec})
					}
				}
				assert.NoError(t, b.SetRoutes(context.Background(), routes))
				assert.NoError(t, b.Dispatch(context.Background(), newNote(i, event.Meta{ID: fmt.Sprintf("%d-%d", g, i)})))
			}
		})
	}
	wg.Wait()
	b.setRoutes(dispatcher.Route{Name: "r0", Channel: &rec}, dispatcher.Route{Name: "r1", Channel: &rec}, dispatcher.Route{Name: "r2", Channel: &rec})
	total := 0
	b.seen.mu.Lock()
	for _, counts := range b.seen.dispatched {
		total += counts[0]
	}
	b.seen.mu.Unlock()
	require.NoError(t, rec.Wait(t.Context(), total)) // a Shutdown before Run has begun would deliver nothing
	require.NoError(t, b.Shutdown(t.Context()))
	b.seen.mu.Lock()
	defer b.seen.mu.Unlock()
	assert.Len(t, rec.Deliveries(), total, "each once")
	assert.Len(t, b.seen.settled, total)
}
