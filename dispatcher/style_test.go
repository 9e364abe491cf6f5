package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

// Style 1: active or inactive at save, switchable later; inactive never fires. Style 5: enabled by default; a disabled
// channel receives nothing and can be enabled later.
func TestStyle1And5InactiveNeverFiresAndCanBeSwitched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var byDefault, inactive channeltest.Recorder
		routes := func(s dispatcher.State) []dispatcher.Route {
			return []dispatcher.Route{{Name: "default", Channel: &byDefault}, {Name: "inactive", Channel: &inactive, State: s}}
		}
		b := start(t, routes(dispatcher.Disabled)...)
		all := notes(3)
		b.dispatch(all[0])
		advance(time.Hour)
		assert.Empty(t, inactive.Deliveries())
		assertIDs(t, []string{"e-0"}, byDefault.Deliveries())
		assert.Equal(t, []string{"enabled", "disabled"}, []string{b.status("default").Condition(), b.status("inactive").Condition()})
		b.setRoutes(routes(dispatcher.Enabled)...)
		b.dispatch(all[1])
		synctest.Wait()
		assertIDs(t, []string{"e-1"}, inactive.Deliveries(), "what came while it was inactive is not sent later")
		b.setRoutes(routes(dispatcher.Disabled)...)
		b.dispatch(all[2])
		advance(time.Hour)
		assert.Len(t, inactive.Deliveries(), 1)
	})
}

// Style 3: disabling stops messages quickly: nothing starts after it, however much waits and however it is retried.
func TestStyle3DisablingStopsMessagesQuickly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slowly := &slow{takes: time.Second}
		failing := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, errDown })
		routes := []dispatcher.Route{{Name: "busy", Channel: slowly}, {Name: "retries", Channel: failing, Retry: retry.Fixed{Interval: time.Second}}}
		b := start(t, routes...)
		b.dispatch(notes(1000)...)
		advance(10500 * time.Millisecond)
		before := len(b.times("retries"))
		for i := range routes {
			routes[i].State = dispatcher.Disabled
		}
		began := time.Now()
		b.setRoutes(routes...)
		assert.Zero(t, time.Since(began), "the channels stay in use, so nothing is waited for")
		advance(time.Second) // what was being sent ends
		sent := len(slowly.Deliveries())
		advance(time.Hour)
		assert.Len(t, slowly.Deliveries(), sent)
		assert.Len(t, b.times("retries"), before)
		assert.Equal(t, 1000-sent, b.status("busy").Queued, "what waits is held, and shown")
		assert.Equal(t, 1000, b.status("retries").Queued)
	})
}
