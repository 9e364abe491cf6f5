package sqlitequeue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/slack"
)

func TestQ2KnownIDsComeBack(t *testing.T) {
	t.Parallel()
	key, other := knownKey{1, 2}, knownKey{3}
	k := known{seen: map[knownKey]seenEvent{key: {digest: 7, lanes: []uint64{1, 300}}, other: {digest: 1 << 63}}}
	stored := k.encode([]knownKey{key, other})
	back := known{seen: map[knownKey]seenEvent{}}
	require.NoError(t, back.decode(5, stored))
	assert.Equal(t, map[knownKey]seenEvent{key: {digest: 7, batch: 5, lanes: []uint64{1, 300}}, other: {digest: 1 << 63, batch: 5}}, back.seen)
	assert.EqualValues(t, 5, back.batch)
	assert.Equal(t, 2, back.count)
	for n := range stored {
		cut := known{seen: map[knownKey]seenEvent{}}
		if err := cut.decode(5, stored[:n]); err == nil {
			assert.Contains(t, []int{1, 43}, n, "only whole entries") // the format alone, or the first entry
		}
	}
}

func FuzzKnown(f *testing.F) {
	k := known{seen: map[knownKey]seenEvent{{1}: {digest: 7, lanes: []uint64{1, 300}}}}
	f.Add(k.encode([]knownKey{{1}}))
	f.Add([]byte{})
	f.Add(append([]byte{2}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := known{seen: map[knownKey]seenEvent{}}
		if k.decode(1, b) != nil {
			return
		}
		again := known{seen: map[knownKey]seenEvent{}}
		require.NoError(t, again.decode(1, k.encode(k.batches[0].keys)))
		assert.Equal(t, k.seen, again.seen)
	})
}

// FuzzFormerKnown: a batch of the first form is taken in as one of the present one, or refused.
func FuzzFormerKnown(f *testing.F) {
	f.Add(append([]byte{1}, make([]byte, 40)...))
	f.Add(append(append([]byte{1}, make([]byte, 24)...), 2, 1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := known{seen: map[knownKey]seenEvent{}}
		if k.decodeNumbers(1, b, map[int64]string{1: "a", 2: "b"}) != nil {
			return
		}
		again := known{seen: map[knownKey]seenEvent{}}
		require.NoError(t, again.decode(1, k.encode(k.batches[0].keys)))
		assert.Equal(t, k.seen, again.seen)
	})
}

func FuzzReference(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encodeReference(slack.Reference{TS: "1.2", Delivery: "d", Time: time.Unix(0, 7)}))
	f.Add(encodeReference(slack.Reference{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeReference(b)
		if err != nil {
			return
		}
		again, err := decodeReference(encodeReference(r))
		require.NoError(t, err)
		assert.True(t, r.Time.Equal(again.Time))
		r.Time, again.Time = time.Time{}, time.Time{}
		assert.Equal(t, r, again)
	})
}
