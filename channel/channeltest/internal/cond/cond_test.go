package cond_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel/channeltest/internal/cond"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c cond.Cond
		n := 0
		done := make(chan error, 2)
		for _, want := range []int{1, 2} {
			go func() { done <- c.Wait(t.Context(), func() bool { return n >= want }) }()
		}
		for have := range 3 {
			synctest.Wait()
			assert.Len(t, done, have)
			c.Lock()
			n++
			c.Broadcast()
			c.Unlock()
		}
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.NoError(t, c.Wait(t.Context(), func() bool { return true }))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Wait(ctx, func() bool { return false }), context.Canceled)
		require.NoError(t, c.Wait(ctx, func() bool { return true }), "what has been reached needs no time")
	})
}
