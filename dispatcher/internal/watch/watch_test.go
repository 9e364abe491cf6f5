package watch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A slow subscriber gets the latest of each key, in the order in which the keys came; a fast one gets everything.
func TestHubKeepsTheLatestOfEachKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Hub[string]
		defer h.Close()
		slow, ok := h.Subscribe(t.Context())
		require.True(t, ok)
		h.Publish("a", 1, "a1")
		synctest.Wait() // a1 is offered
		for _, v := range []string{"b1", "a2", "a3", "b2"} {
			h.Publish(v[:1], uint64(v[1]-'0'), v)
		}
		var got []string
		for range 3 {
			got = append(got, <-slow)
		}
		assert.Equal(t, []string{"a1", "b2", "a3"}, got)
	})
}

// Publishers may overtake each other: an older value is left out.
func TestHubLeavesOutOlderValues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Hub[int]
		defer h.Close()
		out, _ := h.Subscribe(t.Context())
		h.Publish("a", 5, 5)
		assert.Equal(t, 5, <-out)
		h.Publish("a", 4, 4)
		h.Publish("a", 5, 50)
		h.Publish("a", 6, 6)
		assert.Equal(t, 6, <-out)
	})
}

func TestHubEnds(t *testing.T) {
	t.Parallel()
	var h Hub[int]
	ctx, cancel := context.WithCancel(t.Context())
	ended, _ := h.Subscribe(ctx)
	closed, _ := h.Subscribe(t.Context())
	cancel()
	_, ok := <-ended
	assert.False(t, ok)
	h.Publish("a", 1, 1) // nobody reads it
	h.Close()
	_, ok = <-closed
	assert.False(t, ok)
	_, ok = h.Subscribe(t.Context())
	assert.False(t, ok)
	assert.True(t, h.Closed())
	h.Publish("a", 2, 2)
	assert.Empty(t, h.subs)
}

// Poll asks at once and then every so often, and not while its reader is busy.
func TestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Scope
		n := 0
		began := time.Now()
		out, ok := Poll(t.Context(), &s, time.Second, func(context.Context) []int { n++; return []int{n, n} })
		require.True(t, ok)
		for _, want := range []int{1, 1, 2, 2} {
			assert.Equal(t, want, <-out)
		}
		assert.Equal(t, time.Second, time.Since(began))
		<-time.After(time.Minute)
		synctest.Wait()
		assert.Equal(t, 3, n, "nothing is asked for before the reader has everything")
		s.Close()
		_, ok = <-out
		assert.False(t, ok)
		_, ok = Poll(t.Context(), &s, time.Second, func(context.Context) []int { return nil })
		assert.False(t, ok)
	})
}
