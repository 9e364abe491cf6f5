package dispatcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

func TestRate(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		rate dispatcher.Rate
		want []time.Duration
	}{
		"one a second by default":   {dispatcher.Rate{Events: 1}, []time.Duration{0, 1000 * ms, 2000 * ms, 3000 * ms, 4000 * ms}},
		"evenly within the time":    {dispatcher.Rate{Events: 4, Per: time.Second}, []time.Duration{0, 250 * ms, 500 * ms, 750 * ms, 1000 * ms}},
		"slower than one a second":  {dispatcher.Rate{Events: 2, Per: time.Hour}, []time.Duration{0, 30 * time.Minute, time.Hour, 90 * time.Minute, 2 * time.Hour}},
		"a burst, then the rate":    {dispatcher.Rate{Events: 2, Burst: 3}, []time.Duration{0, 0, 0, 500 * ms, 1000 * ms}},
		"a burst longer than all":   {dispatcher.Rate{Events: 1, Burst: 9}, []time.Duration{0, 0, 0, 0, 0}},
		"no events means unlimited": {dispatcher.Rate{Per: time.Hour, Burst: 1}, []time.Duration{0, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := start(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Rate: tc.rate})
				b.dispatch(notes(5)...)
				advance(5 * time.Hour)
				assert.Equal(t, tc.want, b.times("r"))
			})
		})
	}
}

func TestRateCountsRetriesAndRefillsInQuietTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(channeltest.Fail(errDown))
		b := start(t, dispatcher.Route{Name: "r", Channel: &rec, Rate: dispatcher.Rate{Events: 1, Burst: 2}, Retry: retry.Fixed{}})
		all := notes(5)
		s := time.Second
		b.dispatch(all[0])
		synctest.Wait()
		b.dispatch(all[1])
		advance(10 * s)
		assert.Equal(t, []time.Duration{0, 0, s}, b.times("r"), "the retry at once took the second turn")
		b.dispatch(all[2:]...)
		advance(10 * s)
		assert.Equal(t, []time.Duration{10 * s, 10 * s, 11 * s}, b.times("r")[3:], "the burst is full again, and no fuller")
	})
}

func TestRateOutlivesSetRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: time.Minute}}
		b := start(t, route)
		b.dispatch(notes(4)...)
		for range 30 {
			b.setRoutes(route)
			advance(time.Second)
		}
		assert.Equal(t, []time.Duration{0}, b.times("r"))
		advance(time.Minute)
		assert.Equal(t, []time.Duration{0, time.Minute}, b.times("r"))
		route.Rate.Per = time.Second
		b.setRoutes(route)
		advance(time.Hour)
		assert.Equal(t, []time.Duration{2 * time.Minute, 2*time.Minute + time.Second}, b.times("r")[2:], "a new rate counts from the next turn")
	})
}

func TestRateOfOneRouteHoldsUpNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, dispatcher.Route{Name: "slow", Channel: new(channeltest.Recorder), Rate: dispatcher.Rate{Events: 1, Per: time.Hour}},
			dispatcher.Route{Name: "free", Channel: new(channeltest.Recorder)})
		b.dispatch(notes(100)...)
		synctest.Wait()
		assert.Len(t, b.times("slow"), 1)
		assert.Len(t, b.times("free"), 100)
		assert.Zero(t, b.status("slow").InFlight, "nobody sleeps in a worker")
		assert.Equal(t, 99, b.status("slow").Queued)
	})
}
