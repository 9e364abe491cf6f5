package dispatchertest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/event"
)

// noon is when nothing is due yet in these tests.
var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func schedule(t *testing.T, s dispatcher.Scheduler, at time.Time, key, id string) {
	t.Helper()
	require.NoError(t, s.Schedule(t.Context(), at, key, expired(id)))
}

func cancelled(t *testing.T, s dispatcher.Scheduler, key string) bool {
	t.Helper()
	found, err := s.Cancel(t.Context(), key)
	require.NoError(t, err)
	return found
}

func keys(all []dispatchertest.Scheduled) []string {
	var keys []string
	for _, s := range all {
		keys = append(keys, s.Key)
	}
	return keys
}

func TestDispatchDue(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	assert.Zero(t, rec.DispatchDue(noon))
	schedule(t, &rec, noon.Add(2*time.Hour), "late", "late")
	schedule(t, &rec, noon.Add(time.Hour), "b", "b")
	schedule(t, &rec, noon.Add(time.Hour), "a", "a")
	schedule(t, &rec, time.Time{}, "past", "past")
	assert.Equal(t, []string{"past", "b", "a", "late"}, keys(rec.Scheduled()))
	assert.Empty(t, rec.Events(), "nothing is dispatched by itself")

	assert.Equal(t, 1, rec.DispatchDue(noon))
	assert.Equal(t, 2, rec.DispatchDue(noon.Add(time.Hour)), "due at its time")
	assert.Zero(t, rec.DispatchDue(noon.Add(time.Hour)))
	assert.Equal(t, []string{"past", "b", "a"}, ids(&rec))
	assert.Equal(t, []string{"late"}, keys(rec.Scheduled()))
	assert.Empty(t, rec.Cancelled())
	assert.False(t, cancelled(t, &rec, "a"), "it was dispatched")
}

func TestScheduleAgainAndCancel(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	schedule(t, &rec, noon, "k", "first")
	schedule(t, &rec, noon.Add(time.Hour), "k", "second")
	schedule(t, &rec, noon, "other", "other")
	assert.Zero(t, rec.DispatchDue(noon.Add(-time.Nanosecond)))
	assert.Equal(t, []string{"other", "k"}, keys(rec.Scheduled()))
	assert.True(t, cancelled(t, &rec, "k"))
	assert.False(t, cancelled(t, &rec, "k"))
	assert.False(t, cancelled(t, &rec, "unknown"))
	require.Equal(t, []string{"k"}, keys(rec.Cancelled()))
	assert.Equal(t, "second", rec.Cancelled()[0].Event.ID())
	assert.Equal(t, noon.Add(time.Hour), rec.Cancelled()[0].At)
	rec.DispatchDue(noon.Add(time.Hour))
	assert.Equal(t, []string{"other"}, ids(&rec))

	schedule(t, &rec, noon, "k", "third")
	rec.Reset()
	assert.Empty(t, rec.Scheduled())
	assert.Empty(t, rec.Cancelled())
}

func TestScheduledReturnsCopies(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	schedule(t, &rec, noon, "a", "a")
	schedule(t, &rec, noon, "b", "b")
	assert.True(t, cancelled(t, &rec, "b"))
	rec.Scheduled()[0].Key, rec.Cancelled()[0].Key = "x", "x"
	assert.Equal(t, []string{"a"}, keys(rec.Scheduled()))
	assert.Equal(t, []string{"b"}, keys(rec.Cancelled()))
}

func TestFailAlsoFailsTheSchedule(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	full, down := &dispatcher.BacklogError{Lanes: []string{dispatcher.ScheduleLane}}, errors.New("down")
	schedule(t, &rec, noon, "k", "before")
	rec.Fail(full, down, nil, down)
	require.ErrorIs(t, rec.Schedule(t.Context(), noon, "k", expired("a")), full)
	found, err := rec.Cancel(t.Context(), "k")
	require.ErrorIs(t, err, down)
	assert.False(t, found)
	require.Len(t, rec.Scheduled(), 1)
	assert.Equal(t, "before", rec.Scheduled()[0].Event.ID())
	assert.True(t, cancelled(t, &rec, "k"), "nil lets one call pass")
	require.ErrorIs(t, rec.Dispatch(t.Context(), expired("b")), down)
}

// stopper is what an Engine and a Recorder have in common.
type stopper interface {
	dispatcher.Dispatcher
	dispatcher.Scheduler
	Shutdown(ctx context.Context) error
}

// What fails with an Engine fails with a Recorder, with the same error; the rest of the calls succeed with both.
func TestRecorderFailsAsAnEngineDoes(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	long := strings.Repeat("k", 256)
	calls := map[string]func(s stopper) error{
		"dispatch":              func(s stopper) error { return s.Dispatch(t.Context(), revoked("1")) },
		"dispatch nothing":      func(s stopper) error { return s.Dispatch(t.Context()) },
		"dispatch a zero Event": func(s stopper) error { return s.Dispatch(t.Context(), revoked("1"), event.Event{}) },
		"dispatch, ctx is done": func(s stopper) error { return s.Dispatch(over, revoked("2")) },
		"schedule":              func(s stopper) error { return s.Schedule(t.Context(), noon, long[:255], revoked("3")) },
		"schedule a zero Event": func(s stopper) error { return s.Schedule(t.Context(), noon, "", event.Event{}) },
		"schedule, no key":      func(s stopper) error { return s.Schedule(over, noon, "", revoked("4")) },
		"schedule, a long key":  func(s stopper) error { return s.Schedule(t.Context(), noon, long, revoked("4")) },
		"schedule, ctx is done": func(s stopper) error { return s.Schedule(over, noon, "k", revoked("4")) },
		"cancel":                func(s stopper) error { _, err := s.Cancel(t.Context(), ""); return err },
		"cancel, ctx is done":   func(s stopper) error { _, err := s.Cancel(over, "k"); return err },
	}
	for name, call := range calls {
		for state, down := range map[string]bool{"": false, ", after Shutdown": true} {
			t.Run(name+state, func(t *testing.T) {
				t.Parallel()
				var receiver channeltest.Recorder
				engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: &receiver}}})
				require.NoError(t, err)
				rec := new(dispatchertest.Recorder)
				if down {
					require.NoError(t, engine.Shutdown(t.Context()))
					require.NoError(t, rec.Shutdown(t.Context()))
				}
				want, got := call(engine), call(rec)
				if want == nil {
					require.NoError(t, got)
					return
				}
				assert.Equal(t, want, got)
			})
		}
	}
}

// What an Engine dispatches until a time, a Recorder dispatches with DispatchDue, in the same order.
func TestRecorderDispatchesAsAnEngineDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var receiver channeltest.Recorder
		engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: &receiver, Order: dispatcher.Strict}}})
		require.NoError(t, err)
		running := make(chan error, 1)
		go func() { running <- engine.Run(t.Context()) }()
		rec := new(dispatchertest.Recorder)
		began := time.Now()
		for _, s := range []stopper{engine, rec} {
			for i, in := range []float64{3, 1, 2, 1, 5, 0.9, 2} { // hours
				at := began.Add(time.Duration(in * float64(time.Hour)))
				schedule(t, s, at, fmt.Sprint("key-", i%5), fmt.Sprint("e-", i))
			}
			assert.True(t, cancelled(t, s, "key-2"))
		}
		for hour := range 4 {
			<-time.After(time.Until(began.Add(time.Duration(hour) * time.Hour)))
			synctest.Wait()
			rec.DispatchDue(time.Now())
			var delivered []string
			for _, d := range receiver.Deliveries() {
				delivered = append(delivered, d.Event.ID())
			}
			require.Equal(t, delivered, ids(rec), "after %d hours", hour)
		}
		assert.Equal(t, []string{"e-5", "e-3", "e-6"}, ids(rec))
		require.Error(t, engine.Shutdown(t.Context()), "one event is left")
		require.NoError(t, <-running)
		require.NoError(t, rec.Shutdown(t.Context()))
		assert.Zero(t, rec.DispatchDue(began.Add(24*time.Hour)))
	})
}

func TestRequireScheduled(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	require.NoError(t, rec.Schedule(t.Context(), noon, "k", revoked("a")))
	schedule(t, &rec, noon.Add(time.Hour), "other", "b")
	p, at := dispatchertest.RequireScheduled[event.GrantRevoked](t, &rec, "k")
	assert.Equal(t, secretReason, p.Reason)
	assert.Equal(t, noon, at)

	const scheduled = `; scheduled: grant.revoked a under "k", grant.expired b under "other"`
	for key, want := range map[string]string{
		"other":   `no event of type grant.revoked is scheduled under "other"` + scheduled,
		"unknown": `no event of type grant.revoked is scheduled under "unknown"` + scheduled,
	} {
		assert.Equal(t, want, failing(func(tb dispatchertest.TB) { dispatchertest.RequireScheduled[event.GrantRevoked](tb, &rec, key) }))
	}
	assert.Contains(t, failing(func(tb dispatchertest.TB) { dispatchertest.RequireScheduled[impostor](tb, &rec, "k") }), "does not decode")
	rec.Reset()
	assert.Equal(t, `no event of type grant.revoked is scheduled under "k"; scheduled: nothing`,
		failing(func(tb dispatchertest.TB) { dispatchertest.RequireScheduled[event.GrantRevoked](tb, &rec, "k") }))
}

func TestRequireCancelled(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	assertion := func(tb dispatchertest.TB) { dispatchertest.RequireCancelled(tb, &rec, "k") }
	assert.Equal(t, `the event under "k" was not cancelled; scheduled: nothing; cancelled: nothing`, failing(assertion))
	schedule(t, &rec, noon, "k", "a")
	assert.Equal(t, `the event under "k" was not cancelled; scheduled: grant.expired a under "k"; cancelled: nothing`, failing(assertion))
	assert.True(t, cancelled(t, &rec, "k"))
	assert.Empty(t, failing(assertion))
	schedule(t, &rec, noon, "k", "b")
	assert.Equal(t, `the event under "k" was not cancelled; scheduled: grant.expired b under "k"; cancelled: grant.expired a under "k"`, failing(assertion))
}

func TestConcurrentSchedule(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	const goroutines, each = 16, 50
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", g, i)
				assert.NoError(t, rec.Schedule(t.Context(), noon, key, revoked(key)))
				if i%2 == 0 {
					found, err := rec.Cancel(t.Context(), key)
					assert.True(t, found)
					assert.NoError(t, err)
				}
				_, _ = rec.Scheduled(), rec.Cancelled()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, goroutines*each/2, rec.DispatchDue(noon))
	assert.Len(t, rec.Events(), goroutines*each/2)
	assert.Len(t, rec.Cancelled(), goroutines*each/2)
}

// reminders stands for product code.
type reminders struct{ schedule dispatcher.Scheduler }

func reminderKey(grant string) string { return "expiring/" + grant }

func (r reminders) activate(ctx context.Context, grant string, until time.Time) error {
	var payload event.GrantExpiringSoon
	payload.Granted.ID = grant
	e, err := event.New(payload, event.Meta{})
	if err != nil {
		return err
	}
	return r.schedule.Schedule(ctx, until.Add(-30*time.Minute), reminderKey(grant), e)
}

func (r reminders) revoke(ctx context.Context, grant string) error {
	_, err := r.schedule.Cancel(ctx, reminderKey(grant))
	return err
}

// A reminder is scheduled with a grant, and cancelled if the grant ends before.
func ExampleRecorder_DispatchDue() {
	var t testing.T // yours, in a test
	ctx := context.Background()
	rec := new(dispatchertest.Recorder)
	product := reminders{schedule: rec}

	until := time.Date(2026, time.March, 2, 16, 0, 0, 0, time.UTC)
	for _, grant := range []string{"grant-7", "grant-8"} {
		if err := product.activate(ctx, grant, until); err != nil {
			fmt.Println(err)
		}
	}
	_, at := dispatchertest.RequireScheduled[event.GrantExpiringSoon](&t, rec, "expiring/grant-7")
	fmt.Println("the reminder is due at", at.Format(time.TimeOnly))

	if err := product.revoke(ctx, "grant-8"); err != nil {
		fmt.Println(err)
	}
	dispatchertest.RequireCancelled(&t, rec, "expiring/grant-8")

	fmt.Println("dispatched by then:", rec.DispatchDue(at))
	fmt.Println("about", dispatchertest.Require[event.GrantExpiringSoon](&t, rec).Granted.ID)
	// Output:
	// the reminder is due at 15:30:00
	// dispatched by then: 1
	// about grant-7
}
