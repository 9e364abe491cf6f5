package dispatchertest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretReason = "payload-must-not-be-printed"

func revoked(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: secretReason}, event.Meta{ID: id})
}

func expired(id string) event.Event { return event.Must(event.GrantExpired{}, event.Meta{ID: id}) }

// failure is what an assertion ended its test with. Fatalf panics with it, as a real one ends its goroutine.
type failure string

type fakeTB struct{}

func (fakeTB) Helper()                           {}
func (fakeTB) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// failing runs an assertion and returns what it failed with; "" = it passed.
func failing(assertion func(t dispatchertest.TB)) (text string) {
	defer func() {
		if f, ok := recover().(failure); ok {
			text = string(f)
		}
	}()
	assertion(fakeTB{})
	return ""
}

func TestZeroRecorder(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	assert.Empty(t, rec.Events())
	require.NoError(t, rec.Wait(t.Context(), 0))
	require.NoError(t, rec.Dispatch(t.Context()))
	require.NoError(t, rec.Dispatch(t.Context(), revoked("a"), expired("b")))
	require.NoError(t, rec.Dispatch(t.Context(), revoked("c")))
	assert.Equal(t, []string{"a", "b", "c"}, ids(&rec))
	rec.Reset()
	assert.Empty(t, rec.Events())
}

func ids(rec *dispatchertest.Recorder) []string {
	var all []string
	for _, e := range rec.Events() {
		all = append(all, e.ID())
	}
	return all
}

func TestRecorderReturnsCopies(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	require.NoError(t, rec.Dispatch(t.Context(), revoked("a")))
	rec.Events()[0] = expired("b")
	assert.Equal(t, []string{"a"}, ids(&rec))
}

func TestRecorderRefusesWhatAnEngineRefuses(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	err := rec.Dispatch(t.Context(), revoked("a"), event.Event{})
	bad, ok := errors.AsType[*dispatcher.EventError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, 1, bad.Index)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, rec.Dispatch(ctx, revoked("a")), context.Canceled)
	assert.Empty(t, rec.Events())
}

func TestFail(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	first, second := errors.New("first"), &dispatcher.BacklogError{Lanes: []string{"slack"}}
	rec.Fail(first)
	rec.Fail(second, nil)
	require.ErrorIs(t, rec.Dispatch(t.Context(), revoked("a")), first)
	require.ErrorIs(t, rec.Dispatch(t.Context(), revoked("a")), second)
	assert.Empty(t, rec.Events(), "a call that fails keeps nothing")
	require.NoError(t, rec.Dispatch(t.Context(), revoked("a")), "nil lets one call pass")
	require.NoError(t, rec.Dispatch(t.Context(), revoked("b")))
	assert.Equal(t, []string{"a", "b"}, ids(&rec))
	rec.Fail(first)
	rec.Reset()
	require.NoError(t, rec.Dispatch(t.Context(), revoked("c")), "Reset forgets errors too")
}

func TestRequire(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	one := func(tb dispatchertest.TB) { dispatchertest.Require[event.GrantRevoked](tb, &rec) }
	none := func(tb dispatchertest.TB) { dispatchertest.RequireNone[event.GrantRevoked](tb, &rec) }
	assert.Equal(t, "dispatched 0 events of type grant.revoked, want exactly one; dispatched: nothing", failing(one))
	assert.Empty(t, failing(none))

	require.NoError(t, rec.Dispatch(t.Context(), expired("x"), revoked("a")))
	assert.Equal(t, secretReason, dispatchertest.Require[event.GrantRevoked](t, &rec).Reason)
	assert.Equal(t, "dispatched 1 events of type grant.revoked, want none; dispatched: grant.expired x, grant.revoked a", failing(none))
	dispatchertest.RequireNone[event.RequestPending](t, &rec)

	require.NoError(t, rec.Dispatch(t.Context(), revoked("b")))
	text := failing(one)
	assert.Equal(t, "dispatched 2 events of type grant.revoked, want exactly one; dispatched: grant.expired x, grant.revoked a, grant.revoked b", text)
	assert.NotContains(t, text, secretReason)
	assert.Len(t, dispatchertest.All[event.GrantRevoked](t, &rec), 2)
	assert.Empty(t, dispatchertest.All[event.RequestPending](t, &rec))
}

// impostor has the type of another payload and other fields.
type impostor struct{ Reason []int }

func (impostor) EventType() event.Type { return event.TypeGrantRevoked }

func TestPayloadThatDoesNotDecode(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	require.NoError(t, rec.Dispatch(t.Context(), revoked("a")))
	text := failing(func(tb dispatchertest.TB) { dispatchertest.All[impostor](tb, &rec) })
	assert.Contains(t, text, "event grant.revoked a does not decode as its own type")
	assert.NotContains(t, text, secretReason)
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rec dispatchertest.Recorder
		done := make(chan error, 2)
		for n := range 2 {
			go func() { done <- rec.Wait(t.Context(), 2*n+1) }()
		}
		synctest.Wait()
		assert.Empty(t, done)
		require.NoError(t, rec.Dispatch(t.Context(), revoked("a")))
		synctest.Wait()
		assert.Len(t, done, 1)
		require.NoError(t, rec.Dispatch(t.Context(), revoked("b"), revoked("c")))
		require.NoError(t, <-done)
		require.NoError(t, <-done)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := rec.Wait(ctx, 4)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "3 of 4 events dispatched")
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var rec dispatchertest.Recorder
	const goroutines, each = 16, 50
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				assert.NoError(t, rec.Dispatch(context.Background(), revoked(fmt.Sprintf("%d-%d", g, i))))
				_ = rec.Events()
			}
		})
	}
	require.NoError(t, rec.Wait(t.Context(), goroutines*each))
	wg.Wait()
	assert.Len(t, rec.Events(), goroutines*each)
}

// service stands for product code.
type service struct{ events dispatcher.Dispatcher }

func (s service) revoke(ctx context.Context, grant, reason string) error {
	payload := event.GrantRevoked{Reason: reason}
	payload.Granted.ID = grant
	e, err := event.New(payload, event.Meta{})
	if err != nil {
		return err
	}
	return s.events.Dispatch(ctx, e)
}

func Example() {
	var t testing.T // yours, in a test
	rec := new(dispatchertest.Recorder)
	product := service{events: rec}

	if err := product.revoke(context.Background(), "grant-7", "left the team"); err != nil {
		fmt.Println(err)
	}
	revoked := dispatchertest.Require[event.GrantRevoked](&t, rec)
	fmt.Println(revoked.Granted.ID, "was revoked:", revoked.Reason)
	dispatchertest.RequireNone[event.GrantExpired](&t, rec)

	rec.Fail(&dispatcher.BacklogError{Lanes: []string{"slack"}})
	fmt.Println(product.revoke(context.Background(), "grant-8", "left the team") != nil)
	// Output:
	// grant-7 was revoked: left the team
	// true
}
