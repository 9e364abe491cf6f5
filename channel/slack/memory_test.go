package slack_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/slack"
)

func keyed(n int) slack.Key { return slack.Key{Subject: fmt.Sprint(n)} }

// has tells which of the keys 0 to 3 are known.
func has(t *testing.T, m *slack.Memory) [4]bool {
	t.Helper()
	var known [4]bool
	for n := range known {
		_, found, err := m.Get(t.Context(), keyed(n))
		require.NoError(t, err)
		known[n] = found
	}
	return known
}

func TestMemoryKeepsTheLatest(t *testing.T) {
	t.Parallel()
	m := slack.NewMemory(slack.MemoryOptions{})
	k := slack.Key{Tenant: "acme", Route: "approvers", Channel: "C1", Subject: "AR-1"}
	for _, ts := range []string{"1.1", "2.2"} {
		want := slack.Reference{TS: ts, Delivery: "d", Time: time.Unix(1, 0)}
		require.NoError(t, m.Put(t.Context(), k, want))
		got, found, err := m.Get(t.Context(), k)
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, want, got)
	}
}

func TestMemoryForgetsWhatHasHadNoNews(t *testing.T) {
	t.Parallel()
	m := slack.NewMemory(slack.MemoryOptions{Max: 2})
	for _, n := range []int{0, 1, 0, 2} {
		require.NoError(t, m.Put(t.Context(), keyed(n), slack.Reference{}))
	}
	assert.Equal(t, [4]bool{true, false, true, false}, has(t, m))
}

func TestMemoryForgetsWithTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for o, ttl := range map[slack.MemoryOptions]time.Duration{{}: 30 * 24 * time.Hour, {TTL: time.Minute}: time.Minute} {
			m := slack.NewMemory(o)
			require.NoError(t, m.Put(t.Context(), keyed(0), slack.Reference{}))
			<-time.After(ttl / 2)
			require.NoError(t, m.Put(t.Context(), keyed(1), slack.Reference{}))
			<-time.After(ttl/2 - 1)
			assert.Equal(t, [4]bool{true, true, false, false}, has(t, m))
			<-time.After(1)
			assert.Equal(t, [4]bool{false, true, false, false}, has(t, m))
		}
	})
}

func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	m := slack.NewMemory(slack.MemoryOptions{Max: 8})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				assert.NoError(t, m.Put(t.Context(), keyed(g*i), slack.Reference{TS: "1.1"}))
				_, _, err := m.Get(t.Context(), keyed(i))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}
