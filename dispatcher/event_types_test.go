package dispatcher_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func TestMisspeltTypesAreRefused(t *testing.T) {
	t.Parallel()
	route := dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Events: event.Types("request.pendign")}
	_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{route}})
	found := configErrors(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, "Events", found[0].Field)
	assert.Contains(t, found[0].Problem, `did you mean "request.pending"`)
}

func TestTypesOfTheHostAreKnown(t *testing.T) {
	t.Parallel()
	route := dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Events: event.Types("vault.key_rotated", "request.approve")}
	_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{route}})
	require.Len(t, configErrors(t, err), 1, "it is nearly request.approved")
	own := []event.Type{"vault.key_rotated", "request.approve"}
	engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{route}, EventTypes: own})
	require.NoError(t, err)
	route.Events = event.Types("vault.key_rotate")
	require.Len(t, configErrors(t, engine.SetRoutes(t.Context(), []dispatcher.Route{route})), 1, "with a list nothing else is taken")
}
