package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

func TestShutdownDeliversWhatIsDue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec, scheduled channeltest.Recorder
		second := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			<-time.After(time.Second)
			return rec.Send(ctx, d)
		})
		b := start(t,
			dispatcher.Route{Name: "r", Channel: second, Events: event.Types("note.*"), Concurrency: 2},
			dispatcher.Route{Name: "grants", Channel: &scheduled, Events: event.Types("grant.*")})
		synctest.Wait()
		soon, _ := event.Sample(event.TypeGrantExpiringSoon)
		later, _ := event.Sample(event.TypeGrantExpired)
		require.NoError(t, b.Schedule(t.Context(), b.began.Add(-time.Hour), "due", soon))
		require.NoError(t, b.Schedule(t.Context(), b.began.Add(time.Hour), "later", later))
		b.dispatch(notes(20)...)
		left := leftBy(t, b.Shutdown(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(b.began))
		assert.Len(t, rec.Deliveries(), 20)
		assertIDs(t, []string{soon.ID()}, scheduled.Deliveries(), "a due schedule is due")
		assert.Equal(t, []dispatcher.Left{{Route: named(dispatcher.ScheduleLane), Queued: 1}}, left.Left)
		assert.False(t, left.Durable)
		<-b.ended
		require.NoError(t, b.err)
	})
}

// The schedule feeds the lanes, so it is emptied before them.
func TestShutdownWaitsForTheScheduleFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		second := event.Where(func(event.Event) bool { // so that to dispatch an event takes a second
			<-time.After(time.Second)
			return true
		})
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Events: second})
		synctest.Wait()
		for i, e := range notes(3) {
			b.schedule(0, fmt.Sprint(i), e)
		}
		require.NoError(t, b.Shutdown(t.Context()))
		assertIDs(t, []string{"e-0", "e-1", "e-2"}, rec.Deliveries())
	})
}

func TestShutdownReportsWhatItLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down channeltest.Recorder
		down.Script(channeltest.Fail(errDown), channeltest.Fail(errDown))
		b := start(t,
			dispatcher.Route{Name: "retries", Channel: &down, Retry: retry.Fixed{Interval: time.Hour}, Order: dispatcher.Strict},
			dispatcher.Route{Name: "paused", Channel: &down, State: dispatcher.Paused},
			dispatcher.Route{Name: "removed", Channel: &down, State: dispatcher.Paused},
			dispatcher.Route{Name: "healthy", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(3)...)
		synctest.Wait()
		b.setRoutes(
			dispatcher.Route{Name: "retries", Channel: &down, Retry: retry.Fixed{Interval: time.Hour}, Order: dispatcher.Strict},
			dispatcher.Route{Name: "paused", Channel: &down, State: dispatcher.Paused},
			dispatcher.Route{Name: "healthy", Channel: new(channeltest.Recorder)})
		err := b.Shutdown(t.Context())
		assert.Equal(t, []dispatcher.Left{{Route: named("paused"), Queued: 3}, {Route: named("removed"), Queued: 3}, {Route: named("retries"), Queued: 3}},
			leftBy(t, err).Left)
		require.EqualError(t, err, "shut down with deliveries left, which are lost with this process:"+
			` "paused" 3 queued, "removed" 3 queued, "retries" 3 queued`)
		assert.Equal(t, time.Duration(0), time.Since(b.began), "what is not due is not waited for")
		require.EqualError(t, b.Shutdown(t.Context()), err.Error(), "asked again it says the same")
	})
}

func TestShutdownErrorOfADurableQueue(t *testing.T) {
	t.Parallel()
	err := &dispatcher.ShutdownError{Durable: true, Left: []dispatcher.Left{{Route: named("a"), Queued: 1, Sending: 2}}}
	require.EqualError(t, err, `shut down with deliveries left, which are kept for the next start: "a" 1 queued and 2 still sending`)
}

func TestShutdownBeforeRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(2)...)
		assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: 2}}, leftBy(t, b.Shutdown(t.Context())).Left)
		require.ErrorIs(t, b.Run(t.Context()), dispatcher.ErrShutdown)
		require.NoError(t, setup(t).Shutdown(t.Context()))
	})
}

func TestShutdownDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		for range 4 {
			rec.Script(channeltest.Hang())
		}
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Timeout: -1})
		b.dispatch(notes(6)...)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: 6}}, leftBy(t, b.Shutdown(ctx)).Left, "with the four that were cancelled")
		assert.Equal(t, 5*time.Second, time.Since(b.began))
		attempts := b.seen.attemptsOf("r")
		assert.Len(t, attempts, 4)
		for _, a := range attempts {
			assert.Equal(t, retry.VerdictPostponed, a.Verdict)
		}
		assert.Zero(t, b.status("r").Failed)
	})
}

func TestShutdownReportsSendsThatIgnoreTheirContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deaf := &slow{takes: time.Hour}
		b := start(t, dispatcher.Route{Name: "deaf", Channel: deaf, Concurrency: 2}, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(3)...)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		left := leftBy(t, b.Shutdown(ctx))
		assert.Equal(t, []dispatcher.Left{{Route: named("deaf"), Queued: 1, Sending: 2}}, left.Left)
		assert.Equal(t, 6*time.Second, time.Since(b.began), "the deadline and the grace")
		<-b.ended
		require.NoError(t, b.err)
		advance(time.Hour)
		assert.Equal(t, 2, b.seen.results("deaf")[dispatcher.Delivered], "when they end, they end as they do")
	})
}

func TestRunContextEndsDuringShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Hang())
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Timeout: -1})
		b.dispatch(notes(1)...)
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- b.Shutdown(context.Background()) }()
		advance(time.Minute)
		assert.Empty(t, down)
		cause := errors.New("no more patience")
		b.abort(cause)
		assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: 1}}, leftBy(t, <-down).Left)
		<-b.ended
		require.ErrorIs(t, b.err, cause)
		assert.Equal(t, time.Minute, time.Since(b.began))
	})
}

func TestConcurrentShutdowns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &slow{takes: time.Minute}
		b := start(t, dispatcher.Route{Name: "r", Channel: s}, dispatcher.Route{Name: "p", Channel: s, State: dispatcher.Paused})
		b.dispatch(notes(1)...)
		synctest.Wait()
		results := make(chan error, 5)
		for range 4 {
			go func() { results <- b.Shutdown(context.Background()) }()
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Shutdown(short), context.DeadlineExceeded, "one that comes second does not cut the first one short")
		require.ErrorIs(t, b.SetRoutes(t.Context(), nil), dispatcher.ErrShutdown, "which does not wait")
		assert.Equal(t, time.Second, time.Since(b.began))
		for range 4 {
			assert.Equal(t, []dispatcher.Left{{Route: named("p"), Queued: 1}}, leftBy(t, <-results).Left)
		}
		assert.Equal(t, time.Minute, time.Since(b.began))
		assert.Len(t, s.Deliveries(), 1)
	})
}

// Whatever the moment of the shutdown: an event whose Dispatch returned nil was delivered or is reported.
func TestNothingAcceptedIsLostSilently(t *testing.T) {
	t.Parallel()
	for round := range 30 {
		var delivered, accepted, refused atomic.Int64
		counts := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			if strings.HasSuffix(d.Event.ID(), "7") && d.Attempt == 1 {
				return channel.Receipt{}, errDown
			}
			delivered.Add(1)
			return channel.Receipt{}, nil
		})
		b := setup(t, dispatcher.Route{Name: "r", Channel: counts, Retry: retry.Fixed{Interval: time.Duration(round%3) * time.Millisecond},
			Order: dispatcher.Order(round % 3)})
		b.run()
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					e := newNote(i, event.Meta{ID: fmt.Sprintf("%d-%d", g, i), Subject: fmt.Sprint(i % 5)})
					switch err := b.Dispatch(context.Background(), e); {
					case err == nil:
						accepted.Add(1)
					case errors.Is(err, dispatcher.ErrShutdown):
						return
					default:
						refused.Add(1) // no room
					}
				}
			})
		}
		for accepted.Load() < int64(20*(round%5)) {
			runtime.Gosched() // until the producers are at it
		}
		if round%4 == 3 {
			b.abort(nil)
			<-b.ended
		}
		err := b.Shutdown(t.Context())
		wg.Wait()
		left := 0
		if err != nil {
			for _, l := range leftBy(t, err).Left {
				left += l.Queued + l.Sending
			}
		}
		require.Equal(t, accepted.Load(), delivered.Load()+int64(left), "round %d, %v", round, err)
	}
}

// paced is a channel that takes one delivery a second and postpones the others, as a Slack bot does.
type paced struct {
	channeltest.Recorder

	mu   sync.Mutex
	next time.Time
}

func (c *paced) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(c.next); wait > 0 {
		return channel.Receipt{}, retry.Postpone(errors.New("paced"), wait)
	}
	c.next = time.Now().Add(time.Second)
	return c.Recorder.Send(ctx, d)
}

// A shutdown waits, within its deadline, for what is only paced and for what comes due; the rest is reported.
func TestShutdownWaitsForWhatIsPacedAndComesDue(t *testing.T) {
	t.Parallel()
	const s, m = time.Second, time.Minute
	failsOnce := func() channel.Channel {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		return &rec
	}
	throttledOnce := func(d time.Duration) channel.Channel {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(retry.Throttle(errDown, d)))
		return &rec
	}
	for name, tc := range map[string]struct {
		route    dispatcher.Route
		deadline time.Duration // 0 = none
		took     time.Duration
		left     int
	}{
		"postponed by pace":                    {dispatcher.Route{Channel: new(paced)}, 20 * s, 5 * s, 0},
		"postponed by pace, no deadline":       {dispatcher.Route{Channel: new(paced)}, 0, 5 * s, 0},
		"postponed by pace, too little time":   {dispatcher.Route{Channel: new(paced)}, 2500 * time.Millisecond, 2 * s, 3},
		"paced by the rate":                    {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1}}, 20 * s, 5 * s, 0},
		"paced by the rate, no deadline":       {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1}}, 0, 5 * s, 0},
		"a rate that is too slow":              {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: m}}, 20 * s, 0, 5},
		"a rate that is too slow, no deadline": {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: m}}, 0, 0, 5},
		"a rate with some time left":           {dispatcher.Route{Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: 8 * s}}, 20 * s, 16 * s, 3},
		"a retry":                              {dispatcher.Route{Channel: failsOnce(), Retry: retry.Fixed{Interval: s}}, 20 * s, s, 0},
		"a retry, no deadline":                 {dispatcher.Route{Channel: failsOnce(), Retry: retry.Fixed{Interval: s}}, 0, 0, 1},
		"a later retry":                        {dispatcher.Route{Channel: failsOnce(), Retry: retry.Fixed{Interval: m}}, 20 * s, 0, 1},
		"a receiver that asks for seconds":     {dispatcher.Route{Channel: throttledOnce(5 * s), Concurrency: 1}, 20 * s, 5 * s, 0},
		"a receiver that asks for a minute":    {dispatcher.Route{Channel: throttledOnce(m), Concurrency: 1}, 20 * s, 0, 6},
		"an open breaker": {dispatcher.Route{Channel: failsOnce(), Concurrency: 1,
			Protect: dispatcher.Protection{Breaker: dispatcher.Breaker{Failures: 1, Pause: s}}}, 20 * s, 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tc.route.Name = "r"
				b := start(t, tc.route)
				b.dispatch(notes(6)...)
				synctest.Wait()
				ctx := t.Context()
				if tc.deadline > 0 {
					limited, cancel := context.WithTimeout(ctx, tc.deadline)
					defer cancel()
					ctx = limited
				}
				began := time.Now()
				err := b.Shutdown(ctx)
				assert.Equal(t, tc.took, time.Since(began))
				if tc.left == 0 {
					require.NoError(t, err)
					return
				}
				assert.Equal(t, []dispatcher.Left{{Route: named("r"), Queued: tc.left}}, leftBy(t, err).Left)
			})
		})
	}
}

// storing is a queue that takes a while to store an outcome, as one on a disk does. Pauses count from then.
type storing struct {
	*memoryqueue.Queue

	takes time.Duration
}

func (q storing) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	return q.Queue.Open(lane, o, func(ctx context.Context, j queue.Job) queue.Disposition {
		out := h(ctx, j)
		<-time.After(q.takes)
		return out
	})
}

func TestShutdownWaitsForPaceOnAnyQueue(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{1, time.Millisecond, 300 * time.Millisecond} {
		t.Run(takes.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var c paced
				q := storing{memoryqueue.New(memoryqueue.Options{}), takes}
				b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{{Name: "r", Channel: &c}}})
				b.run()
				b.dispatch(notes(6)...)
				synctest.Wait()
				require.NoError(t, b.Shutdown(context.Background()))
				assert.Len(t, c.Deliveries(), 6)
			})
		})
	}
}

func TestShutdownWaitsForScheduledEventsBeforeItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec})
		b.schedule(10*time.Second, "soon", notes(1)[0])
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		require.NoError(t, b.Shutdown(ctx))
		assertIDs(t, []string{"e-0"}, rec.Deliveries())
	})
}

// silent is a queue whose counts are not answered.
type silent struct {
	*memoryqueue.Queue

	asked atomic.Int64
}

func (q *silent) Count(ctx context.Context, _ string) (queue.Counts, error) {
	q.asked.Add(1)
	<-ctx.Done()
	return queue.Counts{}, ctx.Err()
}

// Counting ends soon after the shutdown's context, however many lanes do not answer, and what is not known is said.
func TestShutdownCountsWithinItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &silent{Queue: memoryqueue.New(memoryqueue.Options{})}
		var routes []dispatcher.Route
		for i := range 100 {
			routes = append(routes, dispatcher.Route{Name: fmt.Sprint("r", i), Channel: new(channeltest.Recorder), State: dispatcher.Paused})
		}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: routes})
		b.run()
		b.dispatch(notes(1)...)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := b.Shutdown(ctx)
		assert.Equal(t, 7*time.Second, time.Since(b.began))
		require.ErrorIs(t, err, context.Canceled)
		left := leftBy(t, err).Left
		require.Len(t, left, 100)
		assert.Equal(t, dispatcher.Left{Route: named("r0"), Queued: -1}, left[0])
		assert.Contains(t, err.Error(), `"r0" ? queued`)
		assert.Contains(t, err.Error(), "100 lanes could not be counted")
	})
}
