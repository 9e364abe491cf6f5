package lanes

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkHeap compares a heap with a list of what should be in it.
func checkHeap(t *testing.T, h heap, want []*Entry) {
	t.Helper()
	require.Len(t, h, len(want))
	for i, item := range h {
		require.Equal(t, int32(i), item.entry.index, "an entry knows its index")
		require.Equal(t, item.entry.due, item.due)
		if i > 0 {
			require.LessOrEqual(t, h[(i-1)/4].due, item.due, "no child is due before its parent")
		}
	}
	for _, m := range want {
		require.Same(t, m, h[m.index].entry)
	}
}

func FuzzHeap(f *testing.F) {
	f.Add([]byte{3, 2, 1, 0x80, 5, 0x81, 0x80})
	f.Add([]byte{9, 9, 9, 9, 9, 9, 0x83, 0x80, 0x80, 1, 0xff})
	f.Fuzz(func(t *testing.T, script []byte) {
		var h heap
		var all []*Entry
		for _, b := range script {
			if b < 0x80 {
				e := &Entry{due: int64(b)}
				h.push(e.due, e)
				all = append(all, e)
			} else if b == 0xff {
				h.update(func(e *Entry) int64 { e.due = 255 - e.due; return e.due })
			} else if len(all) > 0 {
				i := int(b-0x80) % len(all)
				h.remove(all[i])
				all = slices.Delete(all, i, i+1)
			}
			checkHeap(t, h, all)
		}
	})
}

func TestHeapSorts(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var h heap
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		due := rng.Int64N(n / 2)
		h.push(due, &Entry{due: due})
	}
	before := int64(-1)
	for len(h) > 0 {
		require.GreaterOrEqual(t, h[0].due, before)
		before = h[0].due
		h.remove(h[0].entry)
	}
	assert.LessOrEqual(t, cap(h), smallCapacity, "a burst does not hold its memory")
	assert.Nil(t, h[:1][0].entry, "nor its members")
}

// TestHeapShrinksSeldom: a heap that goes up and down around one size does not copy itself each time.
func TestHeapShrinksSeldom(t *testing.T) {
	var h heap
	for i := range 10_000 {
		h.push(int64(i), &Entry{})
	}
	for len(h) > 3000 {
		h.remove(h[len(h)-1].entry)
	}
	entries := make([]Entry, 1000)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for i := range entries {
			h.push(1, &entries[i])
		}
		for i := range entries {
			h.remove(&entries[i])
		}
	}))
}
