package dispatcher_test

import (
	"context"
	"log/slog"
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

func TestObserverPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		panics := dispatcher.Observer{
			Dispatched: func(event.Event, int) { panic(payloadMark) },
			Unrouted:   func(event.Event, dispatcher.Reason) { panic(payloadMark) },
			Attempted:  func(dispatcher.Attempt) { panic(payloadMark) },
			Settled:    func(dispatcher.Settlement) { panic(payloadMark) },
			Disabled:   func(dispatcher.Disablement) { panic(payloadMark) },
		}
		var rec, gone channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		gone.Script(channeltest.Fail(retry.Permanent(channel.ErrGone)))
		b := setupWith(t, dispatcher.Config{Observers: []dispatcher.Observer{panics, {}}, Routes: []dispatcher.Route{
			{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Second}}, {Name: "gone", Channel: &gone},
		}})
		b.run()
		b.dispatch(notes(1)[0], newNote(2, event.Meta{Tenant: "nobody's"}))
		advance(time.Minute)
		assert.Len(t, rec.Deliveries(), 2, "the delivery goes on")
		assert.Equal(t, map[string][]int{"e-0": {2}}, b.seen.dispatched, "and the next observer is notified")
		assert.Len(t, b.seen.unrouted, 1)
		assert.Len(t, b.seen.attempts, 3)
		assert.Len(t, b.seen.settled, 1)
		assert.Equal(t, []string{"gone"}, b.seen.disabled)
		hooks := map[any]int{}
		for _, line := range b.log.lines(t, slog.LevelError) {
			if line["msg"] == "tocsin: an observer panicked" {
				hooks[line["hook"]]++
			}
		}
		assert.Equal(t, map[any]int{"Dispatched": 1, "Unrouted": 1, "Attempted": 3, "Settled": 1, "Disabled": 1}, hooks)
		assert.NotContains(t, b.log.String(), payloadMark)
	})
}

func TestAttempted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		receipt := channel.Receipt{Status: 503}
		rec.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(3 * time.Second)
			return receipt, retry.Delay(errDown, time.Minute)
		})
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.dispatch(notes(1)...)
		advance(time.Hour)
		attempts := b.seen.attemptsOf("r")
		require.Len(t, attempts, 2)
		a := attempts[0]
		assert.Equal(t, receipt, a.Receipt)
		require.ErrorIs(t, a.Err, errDown)
		assert.Equal(t, 3*time.Second, a.Duration)
		assert.Equal(t, time.Minute, a.Next)
		assert.True(t, a.Began.Equal(b.began))
		assert.Equal(t, 63*time.Second, attempts[1].Began.Sub(b.began), "the pause begins when the attempt has ended")
		assert.NoError(t, attempts[1].Err)
		assert.Zero(t, attempts[1].Next)
	})
}

// Whatever happens, no log line holds anything of an event's payload.
func TestLogHoldsNoPayload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		for _, step := range []channeltest.Step{
			channeltest.Fail(errDown), channeltest.Panic(notes(1)[0]), channeltest.Fail(retry.Permanent(errDown)),
			channeltest.Fail(retry.Postpone(errDown, time.Second)), channeltest.Fail(retry.Permanent(channel.ErrGone)),
		} {
			rec.Script(step)
		}
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Second}},
			dispatcher.Route{Name: "full", Channel: &rec, State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}},
			dispatcher.Route{Name: "rejects", Channel: &rec, State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1}, Tenant: "t"})
		for _, e := range notes(5) {
			b.dispatch(e)
			advance(10 * time.Second)
		}
		b.dispatch(newNote(1, event.Meta{Tenant: "unknown"}), newNote(1, event.Meta{Tenant: "t"}))
		b.schedule(0, "waits", newNote(2, event.Meta{Tenant: "t"}))
		b.schedule(0, "conflict", newNote(99, event.Meta{ID: "e-0"}))
		advance(10 * time.Second)
		log := b.log.String()
		for _, want := range []string{"delivery is dead", "destination is gone", "no route wants", "scheduled event waits",
			"cannot be dispatched", "attempt failed", "backlog was full"} {
			assert.Contains(t, log, want)
		}
		assert.NotContains(t, log, payloadMark)
	})
}

// A dead delivery is exactly one Error line, also without any observer.
func TestDeadDeliveryIsOneErrorLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := new(logbook)
		var rec channeltest.Recorder
		for range 4 {
			rec.Script(channeltest.Fail(errDown))
		}
		engine, err := dispatcher.New(dispatcher.Config{
			Logger: slog.New(slog.NewJSONHandler(log, nil)),
			Routes: []dispatcher.Route{{Name: "r", Channel: &rec, Retry: retry.AtMost(4, retry.Fixed{})}},
		})
		require.NoError(t, err)
		ran := make(chan error)
		go func() { ran <- engine.Run(t.Context()) }()
		require.NoError(t, engine.Dispatch(t.Context(), notes(1)...))
		synctest.Wait()
		require.NoError(t, engine.Shutdown(t.Context()))
		require.NoError(t, <-ran)
		lines := log.lines(t, slog.LevelError)
		require.Len(t, lines, 1)
		delete(lines[0], "time")
		assert.Equal(t, map[string]any{
			"level": "ERROR", "msg": "tocsin: delivery is dead", "route": "r", "tenant": "", "event_id": "e-0", "event_type": "note.made",
			"attempts": 4.0, "reason": "retries exhausted after attempt 4: receiver is down",
		}, lines[0])
	})
}

// marking is a queue that gives its handlers a context with a value, as one that traces does.
type marking struct{ queue.Queue }

type markKey struct{}

func (m marking) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	return m.Queue.Open(lane, o, func(ctx context.Context, j queue.Job) queue.Disposition {
		return h(context.WithValue(ctx, markKey{}, j.Event.ID()), j)
	})
}

func TestAttemptedHasTheContextOfTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		var marks []any
		b := setupWith(t, dispatcher.Config{
			Queue:     marking{memoryqueue.New(memoryqueue.Options{})},
			Routes:    []dispatcher.Route{{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Second}}},
			Observers: []dispatcher.Observer{{Attempted: func(a dispatcher.Attempt) { marks = append(marks, a.Context.Value(markKey{})) }}},
		})
		b.run()
		b.dispatch(notes(1)...)
		advance(time.Minute)
		assert.Equal(t, []any{"e-0", "e-0"}, marks, "of the attempt that failed, and of the one that did not")
	})
}
