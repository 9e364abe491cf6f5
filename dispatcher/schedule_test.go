package dispatcher_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

func (b *bundle) schedule(in time.Duration, key string, e event.Event) {
	b.t.Helper()
	require.NoError(b.t, b.Schedule(context.Background(), time.Now().Add(in), key, e))
}

func (b *bundle) cancelled(key string) bool {
	b.t.Helper()
	was, err := b.Cancel(context.Background(), key)
	require.NoError(b.t, err)
	return was
}

func TestScheduleFiresAtItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var early, late channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "early", Channel: &early})
		all := notes(4)
		b.schedule(time.Hour, "hour", all[0])
		b.schedule(48*time.Hour, "days", all[1])
		b.schedule(-time.Hour, "past", all[2])
		synctest.Wait()
		assertIDs(t, []string{"e-2"}, early.Deliveries(), "a time in the past is now")
		advance(time.Hour - time.Nanosecond)
		assert.Len(t, early.Deliveries(), 1)
		advance(time.Nanosecond)
		assertIDs(t, []string{"e-2", "e-0"}, early.Deliveries())
		assert.Equal(t, []time.Duration{0, time.Hour}, b.times("early"))

		b.setRoutes(dispatcher.Route{Name: "late", Channel: &late, MaxAge: time.Minute})
		advance(47 * time.Hour)
		assertIDs(t, []string{"e-1"}, late.Deliveries(), "to the routes of that moment, and its age counts from then")
		assert.Len(t, early.Deliveries(), 2)
		require.NoError(t, b.Schedule(t.Context(), time.Time{}, "zero", all[3]))
		synctest.Wait()
		assert.Len(t, late.Deliveries(), 2)
	})
}

func TestScheduleAgainReplaces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		all := notes(3)
		b.schedule(time.Hour, "k", all[0])
		b.schedule(time.Minute, "k", all[1])
		b.schedule(time.Hour, "other", all[2])
		advance(2 * time.Hour)
		assertIDs(t, []string{"e-1", "e-2"}, rec.Deliveries())
		assert.Equal(t, []time.Duration{time.Minute, time.Hour}, b.times("r"))
	})
}

func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		all := notes(2)
		b.schedule(time.Hour, "expiring/grant-7", all[0])
		b.schedule(time.Hour, "expiring/grant-8", all[1])
		assert.True(t, b.cancelled("expiring/grant-7"))
		assert.False(t, b.cancelled("expiring/grant-7"))
		assert.False(t, b.cancelled("unknown"))
		advance(time.Hour)
		assertIDs(t, []string{"e-1"}, rec.Deliveries())
		assert.False(t, b.cancelled("expiring/grant-8"), "it was dispatched")
		b.schedule(time.Hour, "expiring/grant-7", newNote(5, event.Meta{ID: "again"}))
		advance(time.Hour)
		assertIDs(t, []string{"e-1", "again"}, rec.Deliveries(), "a key can be used again")
	})
}

func TestScheduleBeforeRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setup(t, dispatcher.Route{Name: "r", Channel: &rec})
		all := notes(3)
		b.schedule(time.Minute, "a", all[0])
		b.schedule(time.Hour, "b", all[1])
		b.schedule(time.Minute, "c", all[2])
		assert.True(t, b.cancelled("c"))
		advance(10 * time.Minute)
		assert.Empty(t, rec.Deliveries())
		b.run()
		synctest.Wait()
		assertIDs(t, []string{"e-0"}, rec.Deliveries())
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 2)
	})
}

func TestScheduleKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		for _, key := range []string{"", strings.Repeat("k", 256)} {
			bad, ok := errors.AsType[*dispatcher.KeyError](b.Schedule(t.Context(), b.began, key, notes(1)[0]))
			require.True(t, ok)
			assert.Equal(t, len(key), bad.Length)
			assert.ErrorContains(t, bad, "use 1 to 255")
		}
		require.NoError(t, b.Schedule(t.Context(), b.began, strings.Repeat("k", 255), notes(1)[0]))
	})
}

// A lane without room makes the event come again, and only the lanes that missed it get it.
func TestScheduleWaitsForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var full, free channeltest.Recorder
		routes := func(s dispatcher.State) []dispatcher.Route {
			return []dispatcher.Route{{Name: "full", Channel: &full, Backlog: dispatcher.Backlog{Jobs: 1}, State: s}, {Name: "free", Channel: &free}}
		}
		b := start(t, routes(dispatcher.Paused)...)
		all := notes(2)
		b.dispatch(all[0])
		b.schedule(time.Minute, "k", all[1])
		advance(2 * time.Minute)
		assert.Len(t, free.Deliveries(), 2)
		assert.False(t, b.cancelled("k"), "it was dispatched, though not to all")
		b.setRoutes(routes(dispatcher.Enabled)...)
		advance(time.Minute)
		assert.ElementsMatch(t, []string{"e-0", "e-1"}, ids(full.Deliveries()))
		assert.Len(t, free.Deliveries(), 2, "not again to those that had it")
		warnings := b.log.lines(t, slog.LevelWarn)
		require.Len(t, warnings, 1, "one line, however long it waits")
		assert.Equal(t, "e-1", warnings[0]["event_id"])
	})
}

// outcomes notes what becomes of scheduled events.
type outcomes struct {
	*memoryqueue.Queue
	mu      sync.Mutex
	actions []queue.Action
}

func (o *outcomes) Open(name string, options queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	if name != dispatcher.ScheduleLane {
		return o.Queue.Open(name, options, h)
	}
	return o.Queue.Open(name, options, func(ctx context.Context, j queue.Job) queue.Disposition {
		out := h(ctx, j)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.actions = append(o.actions, out.Action)
		return out
	})
}

// As long as no lane has the event, it is postponed, so that it can still be cancelled; it is logged once all the same.
func TestScheduledEventThatNoLaneHasIsNotTried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var one, two channeltest.Recorder
		small := dispatcher.Backlog{Jobs: 1}
		routes := func(ones, twos dispatcher.State) []dispatcher.Route {
			return []dispatcher.Route{{Name: "one", Channel: &one, Backlog: small, State: ones}, {Name: "two", Channel: &two, Backlog: small, State: twos}}
		}
		q := &outcomes{Queue: memoryqueue.New(memoryqueue.Options{})}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: routes(dispatcher.Paused, dispatcher.Paused)})
		b.run()
		all := notes(2)
		b.dispatch(all[0])
		b.schedule(time.Minute, "k", all[1])
		advance(time.Minute + 3*time.Second)
		assert.Equal(t, []queue.Action{queue.Postpone, queue.Postpone, queue.Postpone, queue.Postpone}, q.actions)
		b.setRoutes(routes(dispatcher.Enabled, dispatcher.Paused)...)
		advance(2 * time.Second)
		b.setRoutes(routes(dispatcher.Enabled, dispatcher.Enabled)...)
		advance(2 * time.Second)
		assert.Equal(t, []queue.Action{queue.Retry, queue.Retry, queue.Done}, q.actions[4:])
		assertIDs(t, []string{"e-0", "e-1"}, two.Deliveries())
		assert.Len(t, b.log.lines(t, slog.LevelWarn), 1)
	})
}

func TestScheduledEventThatNoLaneHasCanBeCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		route := dispatcher.Route{Name: "r", Channel: &rec, Backlog: dispatcher.Backlog{Jobs: 1}, State: dispatcher.Paused}
		b := start(t, route)
		all := notes(2)
		b.dispatch(all[0])
		b.schedule(time.Minute, "k", all[1])
		advance(2 * time.Minute)
		found, err := b.Cancel(t.Context(), "k")
		require.NoError(t, err)
		assert.True(t, found)
		route.State = dispatcher.Enabled
		b.setRoutes(route)
		advance(time.Minute)
		assertIDs(t, []string{"e-0"}, rec.Deliveries())
	})
}

func TestScheduledEventInConflictIsDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.dispatch(newNote(1, event.Meta{ID: "x"}))
		b.schedule(time.Minute, "k", newNote(2, event.Meta{ID: "x"}))
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 1)
		letters, err := b.DeadLetters(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{named(dispatcher.ScheduleLane)}})
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Contains(t, letters[0].Reason, "known with different data")
		require.Len(t, b.log.lines(t, slog.LevelError), 1)
		assert.Equal(t, "x", b.log.lines(t, slog.LevelError)[0]["event_id"])
	})
}

// A scheduled event that was dispatched meanwhile is not delivered again.
func TestScheduledEventThatIsKnownIsSkipped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.schedule(time.Minute, "k", notes(1)[0])
		b.dispatch(notes(1)...)
		advance(time.Hour)
		assert.Len(t, rec.Deliveries(), 1)
	})
}

// bare is a queue that can do nothing but the least.
type bare struct{ *memoryqueue.Queue }

func (b bare) Properties() queue.Properties {
	p := b.Queue.Properties()
	p.Bounded, p.Scheduling, p.Inspection = false, false, false
	return p
}

func (bare) Bound(string, queue.Bound)                         {}
func (bare) Schedule(context.Context, string, queue.Job) error { return errors.ErrUnsupported }
func (bare) Cancel(context.Context, string, string) (bool, error) {
	return false, errors.ErrUnsupported
}
func (bare) Lanes(context.Context) ([]string, error) { return nil, errors.ErrUnsupported }
func (bare) Count(context.Context, string) (queue.Counts, error) {
	return queue.Counts{}, errors.ErrUnsupported
}
func (bare) Purge(context.Context, string) (int, error)            { return 0, errors.ErrUnsupported }
func (bare) Discard(context.Context, queue.Selection) (int, error) { return 0, errors.ErrUnsupported }
func (bare) Requeue(context.Context, queue.Selection, int64) (int, error) {
	return 0, errors.ErrUnsupported
}
func (bare) DeadLetters(context.Context, queue.Selection) ([]queue.DeadLetter, error) {
	return nil, errors.ErrUnsupported
}

func TestQueueWithoutExtras(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setupWith(t, dispatcher.Config{Queue: bare{memoryqueue.New(memoryqueue.Options{})},
			Routes: []dispatcher.Route{{Name: "r", Channel: &rec}}})
		b.run()
		ctx := t.Context()
		require.ErrorIs(t, b.Schedule(ctx, b.began, "k", notes(1)[0]), errors.ErrUnsupported)
		_, err := b.Cancel(ctx, "k")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = b.DeadLetters(ctx, everyDead)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		for _, f := range []func(context.Context, dispatcher.DeadLetterFilter) (int, error){b.RedeliverDead, b.DiscardDead} {
			_, err = f(ctx, everyDead)
			require.ErrorIs(t, err, errors.ErrUnsupported)
		}
		_, err = b.Purge(ctx, named("r"))
		require.ErrorIs(t, err, errors.ErrUnsupported)
		b.dispatch(notes(2)...)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 2)
		s := b.status("r")
		assert.Equal(t, []int{-1, -1, -1}, []int{s.Queued, s.InFlight, s.DeadLetters})
		assert.EqualValues(t, 2, s.Delivered)
		require.NoError(t, b.Shutdown(ctx))
	})
}
