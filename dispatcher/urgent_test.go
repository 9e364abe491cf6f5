package dispatcher_test

import (
	"context"
	"slices"
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
	"github.com/tocsin-go/tocsin/retry"
)

func breakGlass() event.Event {
	return event.Must(event.RequestBreakGlass{}, event.Meta{ID: "glass"})
}

// noting is a queue in memory that notes which jobs are urgent.
type noting struct {
	*memoryqueue.Queue

	urgent map[string][]string // event ids by lane
}

func (q *noting) note(jobs ...queue.Job) {
	for _, j := range jobs {
		if j.Urgent {
			q.urgent[j.Lane] = append(q.urgent[j.Lane], j.Event.ID())
		}
	}
}

func (q *noting) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	q.note(jobs...)
	return q.Queue.Enqueue(ctx, jobs...)
}

func (q *noting) Schedule(ctx context.Context, key string, j queue.Job) error {
	q.note(j)
	return q.Queue.Schedule(ctx, key, j)
}

// Break-glass requests are urgent on routes without order, whichever way they get there.
func TestBreakGlassIsUrgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &noting{memoryqueue.New(memoryqueue.Options{}), map[string][]string{}}
		c := new(channeltest.Recorder)
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{
			{Name: "parallel", Channel: c},
			{Name: "subject", Channel: c, Order: dispatcher.BySubject},
			{Name: "strict", Channel: c, Order: dispatcher.Strict},
			{Name: "refusing", Channel: refusing(), Events: event.Types("request.*"), Protect: fallback("fallback")},
			{Name: "fallback", Channel: c, Events: event.Types("grant.*")},
		}})
		b.run()
		b.dispatch(append(notes(3), breakGlass())...)
		synctest.Wait()
		assert.Equal(t, map[string][]string{"parallel": {"glass"}, "refusing": {"glass"}, "fallback": {"glass"}}, q.urgent)

		clear(q.urgent)
		require.NoError(t, b.Redeliver(t.Context(), breakGlass(), named("parallel"), named("strict")))
		assert.Equal(t, map[string][]string{"parallel": {"glass"}}, q.urgent)
		b.schedule(time.Hour, "later", breakGlass())
		assert.Equal(t, []string{"glass"}, q.urgent[dispatcher.ScheduleLane])
	})
}

// A break-glass notice does not wait behind those that are paced, whether by a rate or by the channel.
func TestBreakGlassGoesFirst(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]dispatcher.Route{
		"rate":    {Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1}},
		"busy":    {Channel: &slow{takes: time.Second}, Concurrency: 1},
		"channel": {Channel: new(paced), Retry: retry.Fixed{Interval: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				route.Name = "r"
				b := start(t, route)
				b.dispatch(notes(60)...)
				advance(2500 * time.Millisecond)
				b.dispatch(breakGlass())
				advance(time.Hour)
				i := slices.IndexFunc(b.seen.settled, func(s dispatcher.Settlement) bool { return s.Delivery.Event.ID() == "glass" })
				require.GreaterOrEqual(t, i, 0)
				assert.LessOrEqual(t, b.seen.settledAt[i].Sub(b.began), 5*time.Second)
			})
		})
	}
}
