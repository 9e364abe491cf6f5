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

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

var twoHours = channel.DedupOptions{Window: 2 * time.Hour}

// same makes an event of its own with the content of all others it makes.
func same(tenant string) event.Event { return newNote(1, event.Meta{Subject: "s", Tenant: tenant}) }

func TestDuplicatesWithinTheWindowAreSkipped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Dedup: twoHours})
		b.dispatch(same(""))
		advance(2*time.Hour - time.Second)
		b.dispatch(same(""), newNote(2, event.Meta{Subject: "s"}), newNote(1, event.Meta{Subject: "other"}))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3, "other data or another subject is not the same")
		assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: 3, dispatcher.Skipped: 1}, b.seen.results("r"))
		assert.EqualValues(t, 1, b.status("r").Skipped)
		advance(time.Second)
		b.dispatch(same(""))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 4, "the window has ended")
		for _, a := range b.seen.attemptsOf("r") {
			assert.Equal(t, retry.VerdictSuccess, a.Verdict)
		}
	})
}

func TestFailedDeliverySuppressesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown), nil, channeltest.Fail(retry.Permanent(errDown)))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Dedup: twoHours, Retry: retry.Fixed{Interval: time.Second}})
		b.dispatch(same(""))
		advance(time.Minute)
		assert.Len(t, rec.Deliveries(), 2, "not its own retry")
		other := func() event.Event { return newNote(7, event.Meta{}) }
		b.dispatch(other())
		advance(time.Minute)
		b.dispatch(other())
		advance(time.Minute)
		assert.Len(t, rec.Deliveries(), 4, "nor a later identical event")
		assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: 2, dispatcher.Dead: 1}, b.seen.results("r"))
	})
}

func TestBreakGlassIsNeverSuppressedUnlessNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var never, named channeltest.Recorder
		withGlass := twoHours
		withGlass.BreakGlass = true
		b := start(t, dispatcher.Route{Name: "never", Channel: &never, Dedup: twoHours}, dispatcher.Route{Name: "named", Channel: &named, Dedup: withGlass})
		sample, _ := event.Sample(event.TypeRequestBreakGlass)
		alarm, err := event.Decode[event.RequestBreakGlass](sample)
		require.NoError(t, err)
		for range 3 {
			b.dispatch(event.Must(alarm, event.Meta{}))
			synctest.Wait()
		}
		assert.Len(t, never.Deliveries(), 3)
		assert.Len(t, named.Deliveries(), 1)
	})
}

// Routes share a store. What one delivered, or one tenant got, must not be missing elsewhere, whatever the key
// function.
func TestDedupIsScopedToTenantAndRoute(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(channel.Delivery) string{
		"default":          nil,
		"own key function": func(channel.Delivery) string { return "always the same" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var first, second channeltest.Recorder
				o := twoHours
				o.Key = key
				b := start(t, dispatcher.Route{Name: "first", Channel: &first, Dedup: o, Tenant: dispatcher.AnyTenant},
					dispatcher.Route{Name: "second", Channel: &second, Dedup: o, Tenant: dispatcher.AnyTenant})
				for range 2 {
					for _, tenant := range []string{"", "a", "b"} {
						b.dispatch(same(tenant))
						synctest.Wait()
					}
				}
				assert.Len(t, first.Deliveries(), 3)
				assert.Len(t, second.Deliveries(), 3)
			})
		})
	}
}

// A key function that finds nothing to go by must not make all events duplicates of each other.
func TestEmptyDedupKeySuppressesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Dedup: channel.DedupOptions{Window: time.Hour,
			Key: func(channel.Delivery) string { return "" }}})
		for _, e := range notes(3) {
			b.dispatch(e)
			synctest.Wait()
		}
		assert.Len(t, rec.Deliveries(), 3)
	})
}

func TestIdenticalDeliveryInFlightIsPostponed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Delay(10 * time.Second))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Dedup: twoHours, Retry: retry.Never{}})
		b.dispatch(same(""))
		synctest.Wait()
		b.dispatch(same(""))
		synctest.Wait()
		attempts := b.seen.attemptsOf("r")
		require.Len(t, attempts, 1)
		assert.Equal(t, retry.VerdictPostponed, attempts[0].Verdict)
		assert.LessOrEqual(t, attempts[0].Next, 35*time.Second, "at most until the lease ends: the timeout and 5 s")
		advance(time.Minute)
		assert.Len(t, rec.Deliveries(), 1)
		assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: 1, dispatcher.Skipped: 1}, b.seen.results("r"))
	})
}

func TestRedeliveryWithinTheWindowReachesTheReceiver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Dedup: twoHours})
		e := same("")
		b.dispatch(e)
		synctest.Wait()
		for range 3 {
			require.NoError(t, b.Redeliver(t.Context(), e, named("r")))
			synctest.Wait()
		}
		all := rec.Deliveries()
		require.Len(t, all, 4)
		generations := map[int64]bool{}
		for _, d := range all {
			assert.Equal(t, all[0].ID(), d.ID(), "with the same delivery id")
			assert.Equal(t, 1, d.Attempt)
			generations[d.Generation] = true
		}
		assert.Len(t, generations, 4)
	})
}

// broken is a store that is down.
type broken struct{}

var errStore = errors.New("store is down")

func (broken) Claim(context.Context, string, time.Duration) (dedup.Claim, error) {
	return dedup.Claim{}, errStore
}
func (broken) Commit(context.Context, string, string, time.Duration) error { return errStore }
func (broken) Release(context.Context, string, string) error               { return errStore }

func TestStoreThatIsDownDeliversAnyway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		b := setupWith(t, dispatcher.Config{DedupStore: broken{}, Routes: []dispatcher.Route{{Name: "r", Channel: &rec, Dedup: twoHours}}})
		b.run()
		b.dispatch(same(""), same(""))
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 2)
		assert.EqualValues(t, 2, b.status("r").Delivered)
		assert.Len(t, b.log.lines(t, slog.LevelWarn), 2, "duplicates are possible, and somebody has to know")
	})
}

// The configured store is the one that is asked.
func TestConfiguredStoreOutlivesTheEngine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := dedup.NewMemory(dedup.MemoryOptions{})
		var rec channeltest.Recorder
		for range 2 {
			b := setupWith(t, dispatcher.Config{DedupStore: store, Routes: []dispatcher.Route{{Name: "r", Channel: &rec, Dedup: twoHours}}})
			b.run()
			b.dispatch(same(""))
			synctest.Wait()
			require.NoError(t, b.Shutdown(t.Context()))
		}
		assert.Len(t, rec.Deliveries(), 1)
	})
}
