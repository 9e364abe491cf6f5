package event_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/event"
)

func TestTriggers(t *testing.T) {
	t.Parallel()
	pairs := map[event.Trigger]event.Type{
		"Created":  "request.pending",
		"Approved": "request.approved",
		"Rejected": "request.denied",
		"Granted":  "grant.active",
		"Expired":  "grant.expired",
		"Failed":   "grant.failed",
	}
	byType := make(map[event.Type]event.Trigger)
	for trigger, want := range pairs {
		got, ok := trigger.Type()
		assert.True(t, ok, trigger)
		assert.Equal(t, want, got)
		byType[want] = trigger
	}
	for _, typ := range append(event.Catalogue(), "host.note", "") {
		want, has := byType[typ]
		got, ok := event.TriggerOf(typ)
		assert.Equal(t, has, ok, typ)
		assert.Equal(t, want, got, typ)
	}
	for _, none := range []event.Trigger{"", "created", "Revoked"} {
		_, ok := none.Type()
		assert.False(t, ok, none)
	}
}
