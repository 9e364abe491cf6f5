package event_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/event"
)

func TestTriggers(t *testing.T) {
	t.Parallel()
	pairs := map[string]event.Type{
		"Created":  "request.pending",
		"Approved": "request.approved",
		"Rejected": "request.denied",
		"Granted":  "grant.active",
		"Expired":  "grant.expired",
		"Failed":   "grant.failed",
	}
	words := event.TriggerWords()
	byType := make(map[event.Type]string)
	for trigger, want := range pairs {
		got, ok := words.TypeOf(trigger)
		assert.True(t, ok, trigger)
		assert.Equal(t, want, got)
		byType[want] = trigger
	}
	for _, typ := range append(event.Catalogue(), "host.note", "") {
		want, has := byType[typ]
		got, ok := words[typ]
		assert.Equal(t, has, ok, typ)
		assert.Equal(t, want, got, typ)
	}
	for _, none := range []string{"", "created", "Revoked"} {
		_, ok := words.TypeOf(none)
		assert.False(t, ok, none)
	}
}
