package queue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/event"
)

// TestJobID: the delivery's id, and the generation of a redelivery.
func TestJobID(t *testing.T) {
	t.Parallel()
	j := Job{Event: event.Must(event.GrantRevoked{}, event.Meta{ID: "e", Subject: "grant"}), Lane: "a"}
	first := j.ID()
	assert.True(t, strings.HasPrefix(first, "e_"))
	j.Generation = 12
	assert.Equal(t, first+"~12", j.ID())
	j.Lane = "b"
	assert.NotEqual(t, first+"~12", j.ID())
}
