package lanes

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzFIFO compares a fifo with a slice.
func FuzzFIFO(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		q := fifo{place: ready}
		var want []*Entry
		for _, b := range script {
			switch b % 4 {
			case 0:
				e := &Entry{}
				q.pushBack(e)
				want = append(want, e)
			case 1:
				e := &Entry{}
				q.pushFront(e)
				want = slices.Insert(want, 0, e)
			case 2:
				e := q.pop()
				if len(want) == 0 {
					require.Nil(t, e)
					continue
				}
				require.Same(t, want[0], e)
				require.Equal(t, nowhere, e.place)
				want = want[1:]
			case 3:
				if len(want) > 0 {
					i := int(b/4) % len(want)
					q.remove(want[i])
					require.Equal(t, nowhere, want[i].place)
					want = slices.Delete(want, i, i+1)
				}
			}
			var got []*Entry
			q.each(func(e *Entry) {
				require.Equal(t, ready, e.place)
				got = append(got, e)
			})
			require.Len(t, got, len(want))
			for i := range got {
				require.Same(t, want[i], got[i])
			}
			require.Equal(t, len(want), q.n)
		}
	})
}

// TestFIFOHoldsNothing: a burst does not hold its memory, and entries that are gone are not held either.
func TestFIFOHoldsNothing(t *testing.T) {
	t.Parallel()
	var q fifo
	for range 100_000 {
		q.pushBack(&Entry{})
	}
	for range 100_000 {
		q.pop()
	}
	assert.Equal(t, fifo{}, q)
}
