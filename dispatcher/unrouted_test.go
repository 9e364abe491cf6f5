package dispatcher_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func TestUnroutedReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t,
			dispatcher.Route{Name: "grants", Channel: new(channeltest.Recorder), Events: event.Types("grant.*")},
			dispatcher.Route{Name: "a", Channel: new(channeltest.Recorder), Tenant: "a"},
			dispatcher.Route{Name: "off", Channel: new(channeltest.Recorder), Tenant: "b", State: dispatcher.Disabled},
			dispatcher.Route{Name: "paused", Channel: new(channeltest.Recorder), Tenant: "c", State: dispatcher.Paused})
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}), newNote(2, event.Meta{Tenant: "c"}))
		assert.Zero(t, b.Unrouted())
		for i, tc := range []struct {
			event event.Event
			want  dispatcher.Reason
		}{
			{event.Must(event.ChannelFailing{}, event.Meta{}), dispatcher.NoType}, // own events only when named
			{newNote(3, event.Meta{}), dispatcher.NoTenant},
			{newNote(4, event.Meta{Tenant: "x"}), dispatcher.NoTenant},
			{newNote(5, event.Meta{Tenant: "b"}), dispatcher.NoState},
		} {
			b.dispatch(tc.event)
			assert.EqualValues(t, i+1, b.Unrouted())
			assert.Equal(t, tc.want, b.seen.unrouted[i], i)
		}
		assert.Len(t, b.seen.dispatched, 2, "only what was routed was dispatched")
	})
}

// A filter of the event's own tenant that wants the type, but not this event, says nothing about other tenants.
func TestUnroutedReasonIsAboutOtherTenants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		picky := event.All(event.Types("note.*"), event.WithAttribute("external_key"))
		b := setup(t, dispatcher.Route{Name: "own", Tenant: "a", Channel: new(channeltest.Recorder), Events: picky},
			dispatcher.Route{Name: "all", Tenant: dispatcher.AnyTenant, Channel: new(channeltest.Recorder), Events: picky})
		b.dispatch(newNote(1, event.Meta{Tenant: "a"}))
		b.setTenant("b", dispatcher.Route{Name: "theirs", Tenant: "b", Channel: new(channeltest.Recorder), Events: picky})
		b.dispatch(newNote(2, event.Meta{Tenant: "a"}), newNote(3, event.Meta{Tenant: "b"}))
		b.setTenant("c", dispatcher.Route{Name: "theirs", Tenant: "c", Channel: new(channeltest.Recorder), Events: picky})
		b.dispatch(newNote(4, event.Meta{Tenant: "b"}))
		assert.Equal(t, []dispatcher.Reason{dispatcher.NoType, dispatcher.NoTenant, dispatcher.NoTenant, dispatcher.NoTenant}, b.seen.unrouted)
	})
}

func TestUnroutedIsLoggedOnceAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		lines := func() []map[string]any { return b.log.lines(t, slog.LevelInfo) }
		for i := range 130 { // one a second: at 0 s, 60 s and 120 s there is a line
			b.dispatch(newNote(i, event.Meta{ID: fmt.Sprint(i), Tenant: "t"}))
			advance(time.Second)
		}
		assert.Len(t, lines(), 3)
		for i, total := range []int{1, 61, 121} {
			assert.EqualValues(t, total, lines()[i]["unrouted_total"])
			assert.Equal(t, "type", lines()[i]["reason"])
			assert.Equal(t, "note.made", lines()[i]["event_type"])
			assert.Equal(t, "t", lines()[i]["tenant"])
		}
		assert.Len(t, b.seen.unrouted, 130, "observers are notified of each")
	})
}
