package dedup

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExpiriesOrder pushes and pops at random, with one, a few and many windows, and compares with a sorted list.
func TestExpiriesOrder(t *testing.T) {
	t.Parallel()
	for _, windows := range []int{1, 3, 1000} {
		x := newExpiries()
		var want []instant
		r := rand.New(rand.NewPCG(1, uint64(windows)))
		now := instant(0)
		for step := range 20_000 {
			now += instant(r.IntN(3))
			if r.IntN(100) < 55 {
				e := expiry{key: hash{uint64(step)}, end: now + 100*instant(1+r.IntN(windows))}
				x.push(e)
				at, _ := slices.BinarySearch(want, e.end)
				want = slices.Insert(want, at, e.end)
			}
			limit := now
			if r.IntN(50) == 0 {
				limit = never
			}
			e, ok := x.popUntil(limit)
			require.Equal(t, len(want) > 0 && want[0] <= limit, ok)
			if ok {
				require.Equal(t, want[0], e.end)
				want = want[1:]
			}
		}
		if windows == 1 {
			assert.Empty(t, x.heap, "one window must not need the heap")
		}
		for _, end := range want {
			e, ok := x.popUntil(never)
			require.True(t, ok)
			require.Equal(t, end, e.end)
		}
		_, ok := x.popUntil(never)
		assert.False(t, ok)
	}
}

func TestRingKeepsOrderWhenItGrowsWrapped(t *testing.T) {
	t.Parallel()
	var r ring
	next := instant(0)
	for range 8 {
		r.push(expiry{end: next})
		next++
	}
	for i := range instant(5) {
		require.Equal(t, i, r.pop().end)
	}
	for range 20 {
		r.push(expiry{end: next})
		next++
	}
	for i := instant(5); i < next; i++ {
		require.Equal(t, i, r.pop().end)
	}
	assert.Zero(t, r.n)
}
