package channeltest_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/event"
)

var errDown = errors.New("down")

func delivery(route string) channel.Delivery {
	e, _ := event.Sample(event.TypeRequestPending)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: route}, Attempt: 1}
}

func TestRecorderZeroValueTakesEverything(t *testing.T) {
	t.Parallel()
	var r channeltest.Recorder
	assert.Empty(t, r.Deliveries())
	assert.Zero(t, r.Attempts("x"))
	receipt, err := r.Send(t.Context(), delivery("a"))
	require.NoError(t, err)
	assert.Zero(t, receipt)
	require.NoError(t, r.Wait(t.Context(), 1))
}

func TestRecorderPlaysItsScriptInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r channeltest.Recorder
		own := func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
			return channel.Receipt{ProviderID: d.Route.Name}, nil
		}
		r.Script(channeltest.Fail(errDown), channeltest.Hang(), channeltest.Delay(time.Minute))
		r.Script(channeltest.Succeed(channel.Receipt{Status: 202}), nil, own)

		_, err := r.Send(t.Context(), delivery("a"))
		require.ErrorIs(t, err, errDown)

		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = r.Send(ctx, delivery("a"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Hour, time.Since(began))

		began = time.Now()
		_, err = r.Send(t.Context(), delivery("a"))
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(began))

		receipt, err := r.Send(t.Context(), delivery("a"))
		require.NoError(t, err)
		assert.Equal(t, 202, receipt.Status)

		receipt, err = r.Send(t.Context(), delivery("a"))
		require.NoError(t, err)
		assert.Zero(t, receipt)

		receipt, err = r.Send(t.Context(), delivery("b"))
		require.NoError(t, err)
		assert.Equal(t, "b", receipt.ProviderID)

		_, err = r.Send(t.Context(), delivery("a"))
		require.NoError(t, err, "after the script, attempts succeed")
	})
}

func TestRecorderDelayEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r channeltest.Recorder
		r.Script(channeltest.Delay(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := r.Send(ctx, delivery("a"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestRecorderPanics(t *testing.T) {
	t.Parallel()
	var r channeltest.Recorder
	r.Script(channeltest.Panic("boom"))
	assert.PanicsWithValue(t, "boom", func() { _, _ = r.Send(t.Context(), delivery("a")) })
	assert.Len(t, r.Deliveries(), 1, "a panicking attempt is recorded too")
	_, err := r.Send(t.Context(), delivery("a"))
	require.NoError(t, err, "a panic leaves no lock behind")
}

func TestRecorderReturnsCopies(t *testing.T) {
	t.Parallel()
	var r channeltest.Recorder
	_, _ = r.Send(t.Context(), delivery("a"))
	r.Deliveries()[0].Route.Name = "changed"
	assert.Equal(t, "a", r.Deliveries()[0].Route.Name)
}

func TestRecorderCountsAttemptsByDelivery(t *testing.T) {
	t.Parallel()
	var r channeltest.Recorder
	r.Script(channeltest.Fail(errDown))
	for range 2 {
		_, _ = r.Send(t.Context(), delivery("a"))
	}
	_, _ = r.Send(t.Context(), delivery("b"))
	assert.Equal(t, 2, r.Attempts(delivery("a").ID()))
	assert.Equal(t, 1, r.Attempts(delivery("b").ID()))
	assert.Zero(t, r.Attempts(delivery("c").ID()))
}

func TestRecorderHoldsNoLockDuringASend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r channeltest.Recorder
		r.Script(channeltest.Hang())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.Send(ctx, delivery("hangs")) })
		require.NoError(t, r.Wait(t.Context(), 1), "a delivery is recorded before its step ends")
		_, err := r.Send(t.Context(), delivery("passes"))
		require.NoError(t, err)
		assert.Len(t, r.Deliveries(), 2)
		cancel()
		wg.Wait()
	})
}

func TestRecorderWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r channeltest.Recorder
		waiting := make(chan error, 3)
		for n := range 3 {
			go func() { waiting <- r.Wait(t.Context(), n+1) }()
		}
		synctest.Wait()
		assert.Empty(t, waiting)
		for n := range 3 {
			_, _ = r.Send(t.Context(), delivery(strconv.Itoa(n)))
			synctest.Wait()
			assert.Len(t, waiting, n+1, "each delivery ends the wait that it completes")
		}
		for range 3 {
			require.NoError(t, <-waiting)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Wait(ctx, 5)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "recorded 3 of 5 deliveries")
	})
}

func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var r channeltest.Recorder
	const goroutines, each = 32, 50
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for range each {
				r.Script(channeltest.Succeed(channel.Receipt{Status: 200}))
				_, err := r.Send(t.Context(), delivery(strconv.Itoa(i)))
				assert.NoError(t, err)
				_ = r.Deliveries()
			}
		})
	}
	require.NoError(t, r.Wait(t.Context(), goroutines*each))
	wg.Wait()
	assert.Len(t, r.Deliveries(), goroutines*each)
	assert.Equal(t, each, r.Attempts(delivery("7").ID()))
}
