package dispatcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(nil, channeltest.Fail(errDown), channeltest.Fail(retry.Permanent(errDown)), channeltest.Fail(retry.Postpone(errDown, time.Hour)), channeltest.Hang())
		b := start(t,
			dispatcher.Route{Name: "z", Channel: &rec, Tenant: "t", Retry: retry.Fixed{Interval: time.Hour}, Timeout: -1,
				Dedup: channel.DedupOptions{Window: time.Hour}, Concurrency: 1},
			dispatcher.Route{Name: "a", Channel: new(channeltest.Recorder), State: dispatcher.Paused})
		assert.Equal(t, []dispatcher.RouteStatus{{Name: "z", Tenant: "t", Events: "*"}, {Name: "a", Events: "*", State: dispatcher.Paused}}, b.statuses(),
			"in the order configured")
		for i, n := range []int{0, 0, 1, 2, 3, 4, 5} { // delivered, skipped, failed, dead, postponed, hangs, waits
			b.dispatch(newNote(n, event.Meta{Tenant: "t", ID: string(rune('a' + i))}))
			synctest.Wait()
		}
		assert.Equal(t, dispatcher.RouteStatus{
			Name: "z", Tenant: "t", Events: "*", Queued: 3, InFlight: 1, Dead: 1, Delivered: 1, Skipped: 1, Failed: 2, Died: 1,
			FailingSince: b.began.Round(0), LastSuccess: b.began.Round(0), LastError: "receiver is down", LastErrorAt: b.began.Round(0),
			P50: 8192, P99: 8192, // the lowest bucket
		}, rounded(b.status("z")))
	})
}

// rounded strips the monotonic clock and the zone, for comparison.
func rounded(s dispatcher.RouteStatus) dispatcher.RouteStatus {
	for _, at := range []*time.Time{&s.FailingSince, &s.LastSuccess, &s.LastErrorAt} {
		if !at.IsZero() {
			*at = at.Round(0).Local()
		}
	}
	return s
}

func TestFailingSince(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		fail := channeltest.Fail(errDown)
		rec.Script(nil, fail, fail, channeltest.Fail(retry.Postpone(errDown, time.Minute)), fail, nil, fail)
		route := dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Minute}}
		b := start(t, route)
		all := notes(3)
		b.dispatch(all[0])
		synctest.Wait()
		assert.True(t, b.status("r").FailingSince.IsZero())
		advance(time.Hour)
		b.dispatch(all[1])
		for minute := range 4 {
			synctest.Wait()
			s := b.status("r")
			assert.True(t, s.FailingSince.Equal(b.began.Add(time.Hour)), "minute %d: since the first failure after the last success", minute)
			assert.True(t, s.LastSuccess.Equal(b.began))
			if minute == 2 {
				b.setRoutes(route)
				assert.False(t, b.status("r").FailingSince.IsZero(), "it outlives SetRoutes")
			}
			advance(time.Minute)
		}
		s := b.status("r")
		assert.True(t, s.FailingSince.IsZero(), "cleared by a success")
		assert.True(t, s.LastSuccess.Equal(b.began.Add(time.Hour+4*time.Minute)))
		assert.Equal(t, "receiver is down", s.LastError, "the last error stays to be looked at")
		assert.True(t, s.LastErrorAt.Equal(b.began.Add(time.Hour+3*time.Minute)))
		assert.EqualValues(t, 3, s.Failed, "a postponed attempt is not a failed one")

		b.dispatch(all[2])
		synctest.Wait()
		assert.True(t, b.status("r").FailingSince.Equal(b.began.Add(time.Hour+4*time.Minute)), "a new failure counts anew")
	})
}
