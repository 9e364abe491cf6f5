package config_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

const lenientDocument = `{"channels": [
  {"type": "webhook", "name": "gone network", "network": "lab", "url": "https://lab.example/x", "headers": [{"name": "X-Key", "secret": "not-a-real-key"}]},
  {"type": "webhook", "name": "good", "url": "https://hooks.example/x"},
  {"type": "webhook", "name": "later", "url": "https://hooks.example/y", "colour": {"of": ["text", 12.50, true, null]}},
  {"type": "carrier pigeon", "name": "unknown"},
  {"type": "webhook", "name": "good", "url": "https://hooks.example/z"}
], "routes": [
  {"name": "one", "channel": "gone network", "events": ["request.*"]},
  {"name": "off", "channel": "gone network", "state": "disabled"},
  {"name": "two", "channel": "good", "alerts": {"to": ["five"]}, "fallback": "five"},
  {"name": "three", "channel": "later"},
  {"name": "four", "channel": "unknown"},
  {"name": "five", "channel": "good", "events": ["coffee.made"]},
  {"name": "six", "channel": "nobody"}
]}`

// Each part that cannot be made is reported; the others run, and the events of the broken ones wait.
func TestLenientLoad(t *testing.T) {
	t.Parallel()
	_, err := config.Load("a.json", []byte(lenientDocument), config.Options{Tenant: "acme"})
	require.Error(t, err)

	set := load(t, "a.json", lenientDocument, config.Options{Tenant: "acme", Lenient: true})
	states := map[string]dispatcher.State{}
	for _, r := range set.Routes {
		states[r.Name] = r.State
		assert.NotNil(t, r.Channel)
		assert.Equal(t, "acme", r.Tenant)
	}
	assert.Equal(t, map[string]dispatcher.State{
		"one": dispatcher.Paused, "off": dispatcher.Disabled, "two": dispatcher.Enabled, "three": dispatcher.Paused,
		"four": dispatcher.Paused, "five": dispatcher.Paused, "six": dispatcher.Paused,
	}, states)
	var broken []string
	for _, b := range set.Broken {
		broken = append(broken, b.String())
	}
	require.Len(t, broken, 6)
	assert.Contains(t, broken[0], `channel "gone network": a.json:2:`)
	assert.Contains(t, broken[0], "network is not offered by the host")
	assert.Contains(t, broken[1], `channel "later": a.json:4:`)
	assert.Contains(t, broken[1], "colour is not a field")
	assert.Contains(t, broken[2], `channel "unknown"`)
	assert.Contains(t, broken[3], `channel "good": a.json:6:`)
	assert.Contains(t, broken[4], `route "five"`)
	assert.Contains(t, broken[5], `route "six"`)

	_, err = dispatcher.New(dispatcher.Config{Routes: set.Routes})
	require.NoError(t, err)
}

// What is stored again is what was read, also what this version does not know; what is shown has none of it.
func TestLenientLoadKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	set := load(t, "a.json", lenientDocument, config.Options{Lenient: true})
	next, err := set.Document.SetChannel("good", []byte(`{"type": "webhook", "url": "https://hooks.example/new"}`), config.Options{})
	require.NoError(t, err)
	text, err := next.Reveal(t.Context())
	require.NoError(t, err)
	var got, want struct{ Channels, Routes []any }
	require.NoError(t, json.Unmarshal(text, &got))
	require.NoError(t, json.Unmarshal([]byte(lenientDocument), &want))
	assert.Equal(t, want.Channels[0], got.Channels[0])
	assert.Equal(t, want.Channels[2:], got.Channels[2:])
	assert.Equal(t, want.Routes, got.Routes)
	assert.Contains(t, string(text), "12.50")
	assert.NotContains(t, string(next.JSON()), "not-a-real-key")
	assert.JSONEq(t, `{"name": "later", "type": "webhook"}`, string(next.Channel("later")))

	_, err = next.Load(config.Options{})
	require.ErrorContains(t, err, "channels[0].network is not offered by the host")
	again, err := next.Load(config.Options{Lenient: true, Previous: set})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, again.Close()) })
	assert.Len(t, again.Broken, 6)

	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	fixed := load(t, "a.json", string(text), config.Options{Lenient: true, Networks: map[string]*netguard.Guard{"lab": guard}})
	assert.Len(t, fixed.Broken, 5)
	assert.Equal(t, dispatcher.Enabled, fixed.Routes[0].State)
}

// A document that is wrong as a whole is an error all the same.
func TestLenientLoadOfAnUnreadableDocument(t *testing.T) {
	t.Parallel()
	for _, src := range []string{`{"channels": [`, `{"version": 2}`, `{"colours": []}`, `{"channels": {}}`, `[]`} {
		_, err := config.Load("a.json", []byte(src), config.Options{Lenient: true})
		require.Error(t, err, src)
	}
}
