package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// What a status shows of the events of a document's routes are the words of the document.
func TestStatusHasTheWordsOfTheDocument(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"":                                  "*",
		"events: []":                        "*",
		"events: [request.*]":               "request.*",
		"events: [request.*, grant.active]": "request.*, grant.active",
		"events: [Failed]\ntriggers: [Created, Approved]":                                      "Failed, Created, Approved",
		"require_external_key: true":                                                           "* with external_key",
		"events: [session.*]\nrequire_external_key: true":                                      "session.* with external_key",
		"rules:\n- events: [request.*]\n- triggers: [Expired]":                                 "request.*; Expired",
		"rules:\n- events: [alert.*]\n  attributes: [a, b]\n- {}":                              "alert.* with a, b; *",
		"rules:\n- except: [request.*, Failed]\n  attributes: [a]\nrequire_external_key: true": "* except request.*, Failed with a, external_key",
	} {
		assert.Equal(t, want, one(t, hook("", fields)).Events.String(), fields)
	}
	set := load(t, "a.yaml", `
channels: [{name: c, type: webhook, url: https://a.example.com}]
routes:
  - {name: contact, channel: c, events: [request.break_glass]}
  - {name: everything, channel: c}
  - {name: t1, channel: c, alerts: {to: [contact, everything]}}
  - {name: t2, channel: c, alerts: {to: [contact]}}
  - {name: t3, channel: c, alerts: {to: [contact]}}
  - {name: t4, channel: c, alerts: {to: [contact]}}
  - {name: t5, channel: c, alerts: {to: [contact]}}
  - {name: t6, channel: c, alerts: {to: [contact]}}
`, config.Options{Tenant: "acme"})
	engine, err := dispatcher.New(dispatcher.Config{Routes: set.Routes})
	assert.NoError(t, err)
	all, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
	assert.NoError(t, err)
	assert.Equal(t, "request.break_glass; alerts of t1, t2, t3 and 3 more", all[0].Events)
	assert.Equal(t, "*; alerts of t1", all[1].Events)
	assert.True(t, set.Routes[0].Events.MatchType(event.TypeChannelFailing))
}
