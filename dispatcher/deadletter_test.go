package dispatcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/retry"
)

// withDead makes an Engine with two routes whose deliveries are all dead, one event a minute.
func withDead(t *testing.T, events int) (b *bundle, first, second *channeltest.Recorder) {
	t.Helper()
	first, second = new(channeltest.Recorder), new(channeltest.Recorder)
	for range events {
		first.Script(channeltest.Fail(retry.Permanent(errDown)))
		second.Script(channeltest.Fail(retry.Permanent(errDown)))
	}
	dedup := channel.DedupOptions{Window: time.Hour}
	b = start(t, dispatcher.Route{Name: "first", Channel: first, Dedup: dedup}, dispatcher.Route{Name: "second", Channel: second})
	for _, e := range notes(events) {
		b.dispatch(e)
		advance(time.Minute)
	}
	return b, first, second
}

func (b *bundle) dead(s queue.Selection) []queue.DeadLetter {
	b.t.Helper()
	letters, err := b.DeadLetters(b.t.Context(), s)
	require.NoError(b.t, err)
	return letters
}

func TestDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 4)
		letters := b.dead(queue.Selection{Lane: "first"})
		require.Len(t, letters, 4)
		for i, l := range letters {
			assert.Equal(t, notes(4)[i].ID(), l.Event.ID(), "the earliest first")
			assert.Equal(t, "first", l.Lane)
			assert.Equal(t, "permanent failure: receiver is down", l.Reason)
			assert.True(t, l.At.Equal(b.began.Add(time.Duration(i)*time.Minute)))
			assert.Equal(t, 1, l.Attempt)
			assert.Equal(t, first.Deliveries()[i].ID(), l.ID())
		}
		assert.Equal(t, 4, b.status("first").DeadLetters)
		assert.Len(t, b.dead(queue.Selection{Limit: 3}), 3)
		assert.Len(t, b.dead(queue.Selection{After: letters[1].Seq, Lane: "first"}), 2)
	})
}

func TestRedeliverDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, second := withDead(t, 4)
		letters := b.dead(queue.Selection{Lane: "first"})

		n, err := b.RedeliverDead(t.Context(), queue.Selection{IDs: []string{letters[2].ID()}})
		require.NoError(t, err)
		assert.Equal(t, 1, n, "one")
		synctest.Wait()
		require.Len(t, first.Deliveries(), 5)
		again := first.Deliveries()[4]
		assert.Equal(t, letters[2].Event.ID(), again.Event.ID())
		assert.Equal(t, letters[2].ID(), again.ID(), "with the same delivery id")
		assert.Equal(t, 1, again.Attempt)
		assert.NotZero(t, again.Generation, "so it bypasses dedup")

		n, err = b.RedeliverDead(t.Context(), queue.Selection{Lane: "second", Since: b.began.Add(2 * time.Minute)})
		require.NoError(t, err)
		assert.Equal(t, 2, n, "all of a route since a time")
		synctest.Wait()
		assert.ElementsMatch(t, []string{"e-2", "e-3"}, ids(second.Deliveries()[4:]))
		assert.Len(t, first.Deliveries(), 5)

		n, err = b.RedeliverDead(t.Context(), everyDead)
		require.NoError(t, err)
		assert.Equal(t, 5, n, "all that are left")
		synctest.Wait()
		assert.Empty(t, b.dead(everyDead))
		assert.Equal(t, 4, b.seen.results("first")[dispatcher.Delivered])
		assert.Equal(t, 4, b.seen.results("second")[dispatcher.Delivered])
	})
}

// A redelivery that is dead again is a dead letter of its own, and can be redelivered again.
func TestRedeliveredDeadIsDeadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 1)
		first.Script(channeltest.Fail(retry.Permanent(errDown)))
		for want := range 2 {
			n, err := b.RedeliverDead(t.Context(), queue.Selection{Lane: "first"})
			require.NoError(t, err)
			require.Equal(t, 1, n)
			synctest.Wait()
			assert.Len(t, b.dead(queue.Selection{Lane: "first"}), 1-want)
		}
		assert.EqualValues(t, 1, b.status("first").Delivered)
		assert.EqualValues(t, 2, b.status("first").Dead)
	})
}

func TestDiscardDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, first, _ := withDead(t, 3)
		n, err := b.DiscardDead(t.Context(), queue.Selection{Lane: "first", Since: b.began.Add(time.Minute)})
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Len(t, b.dead(queue.Selection{Lane: "first"}), 1)
		assert.Len(t, b.dead(queue.Selection{Lane: "second"}), 3)
		advance(time.Hour)
		assert.Len(t, first.Deliveries(), 3)
	})
}
