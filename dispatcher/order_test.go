package dispatcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func about(subject string, n int) event.Event {
	return newNote(n, event.Meta{ID: fmt.Sprint(subject, n), Subject: subject})
}

func TestOrders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		order dispatcher.Order
		want  []string // delivered after a second, while a1 waits for its retry
		last  []string // after the retry
	}{
		{dispatcher.Parallel, []string{"b1", "a2", "b2"}, []string{"a1"}},
		{dispatcher.BySubject, []string{"b1", "b2"}, []string{"a1", "a2"}},
		{dispatcher.Strict, nil, []string{"a1", "b1", "a2", "b2"}},
	} {
		t.Run(tc.order.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				var up atomic.Bool
				fails := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					if !up.Load() && d.Event.ID() == "a1" {
						return channel.Receipt{}, errDown
					}
					return rec.Send(ctx, d)
				})
				b := start(t, dispatcher.Route{Name: "r", Channel: fails, Order: tc.order, Retry: retry.Fixed{Interval: time.Minute}})
				b.dispatch(about("a", 1), about("b", 1), about("a", 2), about("b", 2))
				advance(time.Second)
				assert.ElementsMatch(t, tc.want, ids(rec.Deliveries()))
				up.Store(true)
				advance(time.Hour)
				if tc.order == dispatcher.BySubject || tc.order == dispatcher.Strict {
					assertIDs(t, tc.last, rec.Deliveries()[len(tc.want):])
				} else {
					assert.ElementsMatch(t, tc.last, ids(rec.Deliveries()[len(tc.want):]))
				}
			})
		})
	}
}

// One tenant's request does not hold up another's of the same name, on a route that takes both.
func TestSubjectsOfTenantsAreOrderedApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		fails := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			if d.Event.Tenant() == "a" {
				return channel.Receipt{}, errDown
			}
			return rec.Send(ctx, d)
		})
		b := start(t, dispatcher.Route{
			Name: "r", Channel: fails, Tenant: dispatcher.AnyTenant, Order: dispatcher.BySubject, Retry: retry.Fixed{Interval: time.Minute},
		})
		for _, tenant := range []string{"a", "b", ""} {
			b.dispatch(newNote(1, event.Meta{ID: "of-" + tenant, Tenant: tenant, Subject: "REQ-1"}))
		}
		advance(time.Second)
		assert.ElementsMatch(t, []string{"of-b", "of-"}, ids(rec.Deliveries()))
	})
}

// A dead delivery lets the next one go.
func TestStrictOrderGoesOnAfterADeadDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown), channeltest.Fail(retry.Permanent(errDown)))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Order: dispatcher.Strict, Retry: retry.Fixed{Interval: time.Second}})
		b.dispatch(notes(3)...)
		advance(time.Minute)
		assertIDs(t, []string{"e-0", "e-0", "e-1", "e-2"}, rec.Deliveries())
	})
}

// A queue that cannot order by key gets its order from the lane's limit.
func TestStrictOrderOfAQueueWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rec := &slow{takes: time.Second}
		b := setupWith(t, dispatcher.Config{Queue: unkeyed{memoryqueue.New(memoryqueue.Options{})},
			Routes: []dispatcher.Route{{Name: "r", Channel: rec, Order: dispatcher.Strict, Concurrency: 4}}})
		b.run()
		synctest.Wait()
		b.dispatch(notes(3)...)
		synctest.Wait()
		assert.EqualValues(t, 1, rec.running.Load())
		advance(time.Minute)
		assertIDs(t, []string{"e-0", "e-1", "e-2"}, rec.Deliveries())
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, b.times("r"))
	})
}

func TestEventsWithoutSubjectAreNotOrdered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Order: dispatcher.BySubject, Retry: retry.Fixed{Interval: time.Hour}})
		b.dispatch(notes(1)...)
		synctest.Wait()
		b.dispatch(notes(3)[1:]...)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3)
	})
}

// moody fails at random and keeps the order of attempts and successes per subject.
type moody struct {
	mu       sync.Mutex
	rnd      *rand.Rand
	running  map[string]int
	sent     map[string][]int // successes by subject
	tried    map[string]int   // number of the last attempt's event, by subject
	overlaps int
	skips    int
}

func newMoody(seed uint64) *moody {
	return &moody{rnd: rand.New(rand.NewPCG(seed, 1)), running: map[string]int{}, sent: map[string][]int{}, tried: map[string]int{}}
}

func (m *moody) Send(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
	n, err := event.Decode[note](d.Event)
	if err != nil {
		return channel.Receipt{}, retry.Permanent(err)
	}
	subject := d.Event.Subject()
	m.mu.Lock()
	m.running[subject]++
	if m.running[subject] > 1 {
		m.overlaps++
	}
	if n.N != len(m.sent[subject]) {
		m.skips++ // an earlier one of its subject has not been delivered
	}
	pause, mood := time.Duration(m.rnd.IntN(50))*time.Millisecond, m.rnd.IntN(10)
	m.mu.Unlock()
	<-time.After(pause)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running[subject]--
	switch mood {
	case 0, 1:
		return channel.Receipt{}, errDown
	case 2:
		return channel.Receipt{}, retry.Delay(errDown, time.Second)
	case 3:
		return channel.Receipt{}, retry.Postpone(errDown, 20*time.Millisecond)
	case 4:
		panic("mood")
	}
	m.sent[subject] = append(m.sent[subject], n.N)
	return channel.Receipt{}, nil
}

// With eight at a time and random failures, each subject sees its events one at a time and in order, none twice; also
// while SetRoutes changes the route.
func TestOrderIsKeptAcrossRetries(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			keyed, strict := newMoody(seed), newMoody(seed+100)
			routes := func(concurrency int) []dispatcher.Route {
				return []dispatcher.Route{
					{Name: "keyed", Channel: keyed, Order: dispatcher.BySubject, Concurrency: concurrency, Retry: retry.Fixed{Interval: 30 * time.Millisecond}},
					{Name: "strict", Channel: strict, Order: dispatcher.Strict, Concurrency: concurrency, Retry: retry.Fixed{Interval: 30 * time.Millisecond}},
				}
			}
			b := start(t, routes(8)...)
			rnd := rand.New(rand.NewPCG(seed, 2))
			next := map[string]int{}
			var all []string
			for range 300 {
				subject := fmt.Sprint("s", rnd.IntN(12), "-")
				b.dispatch(about(subject, next[subject]))
				all = append(all, subject)
				next[subject]++
				switch rnd.IntN(20) {
				case 0:
					advance(time.Duration(rnd.IntN(200)) * time.Millisecond)
				case 1:
					b.setRoutes(routes(1 + rnd.IntN(8))...)
				}
			}
			advance(time.Hour)
			for name, m := range map[string]*moody{"keyed": keyed, "strict": strict} {
				assert.Zero(t, m.overlaps, "%s: two of a subject at once, seed %d", name, seed)
				assert.Zero(t, m.skips, "%s: one before its predecessor, seed %d", name, seed)
				for subject, n := range next {
					require.Len(t, m.sent[subject], n, "%s: each once, seed %d", name, seed)
				}
			}
			var inOrder []string
			for _, a := range b.seen.attemptsOf("strict") {
				if a.Err == nil {
					inOrder = append(inOrder, a.Delivery.Event.Subject())
				}
			}
			assert.Equal(t, all, inOrder, "strict keeps the order of the whole route")
		})
	}
}
