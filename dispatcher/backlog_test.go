package dispatcher_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// everyDead selects all dead letters.
var everyDead = dispatcher.DeadLetterFilter{}

func TestBacklogErrorNamesTheLanesWithoutRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var small, tiny, wide channeltest.Recorder
		routes := func(s dispatcher.State) []dispatcher.Route {
			return []dispatcher.Route{
				{Name: "small", Channel: &small, Backlog: dispatcher.Backlog{Jobs: 2}, State: s},
				{Name: "tiny", Channel: &tiny, Backlog: dispatcher.Backlog{Jobs: 1}, State: s},
				{Name: "wide", Channel: &wide, State: s},
			}
		}
		b := start(t, routes(dispatcher.Paused)...)
		synctest.Wait()
		all := notes(4)
		lanes := func(err error) []string {
			full, ok := errors.AsType[*dispatcher.BacklogError](err)
			require.True(t, ok, "%v", err)
			return full.Lanes
		}
		b.dispatch(all[0])
		assert.Equal(t, []string{"tiny"}, lanes(b.Dispatch(t.Context(), all[1])))
		assert.Equal(t, []string{"small", "tiny"}, lanes(b.Dispatch(t.Context(), all[2], all[3])))
		assert.Equal(t, []string{"small", "tiny"}, lanes(b.Dispatch(t.Context(), all[2], all[3])), "still no room")
		queued := map[string]int{}
		for _, s := range b.statuses() {
			queued[s.Route.Name] = s.Queued
		}
		assert.Equal(t, map[string]int{"small": 2, "tiny": 1, "wide": 4}, queued)

		b.setRoutes(routes(dispatcher.Enabled)...)
		synctest.Wait()
		for _, e := range all[1:] {
			b.dispatch(e)
			synctest.Wait()
		}
		want := []string{"e-0", "e-1", "e-2", "e-3"}
		for name, rec := range map[string]*channeltest.Recorder{"small": &small, "tiny": &tiny, "wide": &wide} {
			assert.ElementsMatch(t, want, ids(rec.Deliveries()), "%s gets exactly what it missed", name)
		}
	})
}

func TestDropOldest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		route := dispatcher.Route{Name: "r", Channel: &rec, State: dispatcher.Paused,
			Backlog: dispatcher.Backlog{Jobs: 3, Overflow: dispatcher.DropOldest}}
		b := start(t, route)
		synctest.Wait()
		sample, _ := event.Sample(event.TypeRequestBreakGlass)
		alarm, err := event.Decode[event.RequestBreakGlass](sample)
		require.NoError(t, err)
		glass := event.Must(alarm, event.Meta{ID: "glass"})
		all := notes(5)
		b.dispatch(glass)
		b.dispatch(all...) // has room for two of the five

		settled := b.seen.settledOf("r")
		require.Len(t, settled, 3)
		for i, s := range settled {
			assert.Equal(t, all[i].ID(), s.Delivery.Event.ID(), "the oldest goes first")
			assert.Equal(t, dispatcher.Dead, s.Outcome)
			assert.Equal(t, "dropped: the backlog was full", s.Reason)
			assert.NoError(t, s.Err)
			assert.Zero(t, s.Delivery.Attempt)
		}
		letters, err := b.DeadLetters(t.Context(), everyDead)
		require.NoError(t, err)
		require.Len(t, letters, 3)
		assert.Equal(t, "e-0", letters[0].Delivery.Event.ID())
		assert.Equal(t, "dropped: the backlog was full", letters[0].Reason)
		assert.Len(t, b.log.lines(t, slog.LevelError), 3, "one line for each")
		assert.EqualValues(t, 3, b.status("r").Dead)

		b.setRoutes(dispatcher.Route{Name: "r", Channel: &rec, Concurrency: 1})
		synctest.Wait()
		assertIDs(t, []string{"glass", "e-3", "e-4"}, rec.Deliveries())
	})
}

func TestBacklogFullOfBreakGlassRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder),
			Backlog: dispatcher.Backlog{Jobs: 2, Overflow: dispatcher.DropOldest}})
		sample, _ := event.Sample(event.TypeRequestBreakGlass)
		alarm, err := event.Decode[event.RequestBreakGlass](sample)
		require.NoError(t, err)
		b.dispatch(event.Must(alarm, event.Meta{}), event.Must(alarm, event.Meta{}))
		require.ErrorAs(t, b.Dispatch(t.Context(), event.Must(alarm, event.Meta{})), new(*dispatcher.BacklogError))
		require.ErrorAs(t, b.Dispatch(t.Context(), notes(1)...), new(*dispatcher.BacklogError))
		assert.Equal(t, 2, b.status("r").Queued)
		assert.Empty(t, b.seen.settledOf("r"))
	})
}
