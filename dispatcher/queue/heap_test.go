package queue

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type member struct {
	due   int64
	index int32
}

func (m *member) moved(index int32) { m.index = index }

// checkHeap compares a heap with a list of what should be in it.
func checkHeap(t *testing.T, h heap[*member], want []*member) {
	t.Helper()
	require.Len(t, h, len(want))
	for i, item := range h {
		require.Equal(t, int32(i), item.member.index, "a member knows its index")
		require.Equal(t, item.member.due, item.due)
		if i > 0 {
			require.LessOrEqual(t, h[(i-1)/4].due, item.due, "no child is due before its parent")
		}
	}
	for _, m := range want {
		require.Same(t, m, h[m.index].member)
	}
}

func FuzzHeap(f *testing.F) {
	f.Add([]byte{3, 2, 1, 0x80, 5, 0x81, 0x80})
	f.Add([]byte{9, 9, 9, 9, 9, 9, 0x83, 0x80, 0x80, 1, 0xff})
	f.Fuzz(func(t *testing.T, script []byte) {
		var h heap[*member]
		var all []*member
		for _, b := range script {
			if b < 0x80 {
				m := &member{due: int64(b)}
				h.push(m.due, m)
				all = append(all, m)
			} else if len(all) > 0 {
				i := int(b-0x80) % len(all)
				h.remove(all[i].index)
				all = slices.Delete(all, i, i+1)
			}
			checkHeap(t, h, all)
		}
	})
}

func TestHeapSorts(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var h heap[*member]
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		due := rng.Int64N(n / 2)
		h.push(due, &member{due: due})
	}
	before := int64(-1)
	for len(h) > 0 {
		require.GreaterOrEqual(t, h[0].due, before)
		before = h[0].due
		h.remove(0)
	}
	assert.LessOrEqual(t, cap(h), smallHeap, "a burst does not hold its memory")
	assert.Nil(t, h[:1][0].member, "nor its members")
}

// TestHeapShrinksSeldom: a heap that goes up and down around one size does not copy itself each time.
func TestHeapShrinksSeldom(t *testing.T) {
	var h heap[*member]
	for i := range 10_000 {
		h.push(int64(i), &member{})
	}
	for len(h) > 3000 {
		h.remove(int32(len(h) - 1))
	}
	m := &member{}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for range 1000 {
			h.push(1, m)
		}
		for range 1000 {
			h.remove(int32(len(h) - 1))
		}
	}))
}
