package dispatcher_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/retry"
)

func TestRunReturnsNilAfterShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		synctest.Wait()
		require.NoError(t, b.Shutdown(t.Context()))
		b.abort(errors.New("too late to matter"))
		<-b.ended
		require.NoError(t, b.err)
	})
}

func TestSecondRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t)
		synctest.Wait()
		require.ErrorIs(t, b.Run(t.Context()), dispatcher.ErrRunning)
		require.NoError(t, b.Shutdown(t.Context()))
		require.ErrorIs(t, b.Run(t.Context()), dispatcher.ErrShutdown)
	})
}

func TestAbruptStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Hang(), channeltest.Hang())
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Concurrency: 2})
		b.dispatch(notes(3)...)
		advance(time.Second)
		cause := errors.New("the plug was pulled")
		b.abort(cause)
		<-b.ended
		require.ErrorIs(t, b.err, cause)
		assert.Equal(t, time.Second, time.Since(b.began), "at once: the sends honour their context")
		require.ErrorIs(t, b.Dispatch(t.Context(), notes(1)...), dispatcher.ErrShutdown)
		require.ErrorIs(t, b.Run(t.Context()), dispatcher.ErrShutdown)
		for _, a := range b.seen.attemptsOf("r") {
			assert.Equal(t, retry.VerdictPostponed, a.Verdict, "a shutdown is not a failed attempt")
		}
		assert.Empty(t, b.seen.settledOf("r"))
		left := leftBy(t, b.Shutdown(t.Context()))
		assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: 3}}, left.Left)
	})
}

func TestRunWithContextDoneStopsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, b.Run(ctx), context.Canceled)
		require.ErrorIs(t, b.Dispatch(t.Context(), notes(1)...), dispatcher.ErrShutdown)
	})
}

func TestAbruptStopWithSendsThatIgnoreIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deaf := &slow{takes: time.Hour}
		b := start(t, dispatcher.Route{Name: "a", Channel: deaf}, dispatcher.Route{Name: "b", Channel: deaf})
		b.dispatch(notes(2)...)
		synctest.Wait()
		b.abort(nil)
		<-b.ended
		require.ErrorIs(t, b.err, context.Canceled)
		assert.Equal(t, queue.StopGrace, time.Since(b.began), "lanes are stopped side by side: one grace for all")
		left := leftBy(t, b.Shutdown(t.Context()))
		assert.Equal(t, []dispatcher.Left{{Route: named("a"), Sending: 2}, {Route: named("b"), Sending: 2}}, left.Left)
		advance(time.Hour)
	})
}

// leftBy returns the *ShutdownError that err must be.
func leftBy(t *testing.T, err error) *dispatcher.ShutdownError {
	t.Helper()
	left, ok := errors.AsType[*dispatcher.ShutdownError](err)
	require.True(t, ok, "%v", err)
	return left
}

// An Engine that queues and never runs is noticed, once.
func TestEngineThatNeverRuns(t *testing.T) {
	t.Parallel()
	const missed = "tocsin: events are queued but Run was not called: this process delivers nothing"
	for name, tc := range map[string]struct {
		queue queue.Queue
		do    func(b *bundle)
		warns int
		infos int
	}{
		"dispatched":               {nil, func(b *bundle) { b.dispatch(notes(1)...); b.dispatch(notes(2)...) }, 1, 0},
		"scheduled":                {nil, func(b *bundle) { b.schedule(0, "key", notes(1)[0]) }, 1, 0},
		"another process delivers": {durable{memoryqueue.New(memoryqueue.Options{})}, func(b *bundle) { b.dispatch(notes(1)...) }, 0, 1},
		"nothing was queued":       {nil, func(*bundle) {}, 0, 0},
		"runs":                     {nil, func(b *bundle) { b.dispatch(notes(1)...); b.run() }, 0, 0},
		"is shut down":             {nil, func(b *bundle) { b.dispatch(notes(1)...); _ = b.Shutdown(context.Background()) }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setupWith(t, dispatcher.Config{Queue: tc.queue, Routes: []dispatcher.Route{{Name: "r", Channel: new(channeltest.Recorder)}}})
				tc.do(b)
				advance(59 * time.Second)
				assert.NotContains(t, b.log.String(), missed)
				advance(time.Hour)
				for level, want := range map[slog.Level]int{slog.LevelWarn: tc.warns, slog.LevelInfo: tc.infos} {
					n := 0
					for _, line := range b.log.lines(t, level) {
						if line["msg"] == missed {
							n++
						}
					}
					assert.Equal(t, want, n, "%v", level)
				}
			})
		})
	}
}

// durable is a queue that says it outlasts the process.
type durable struct{ *memoryqueue.Queue }

func (d durable) Properties() queue.Properties {
	p := d.Queue.Properties()
	p.Durable = true
	return p
}
