package email

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is remembered of deliveries in part is bounded, and the newest is not what is lost.
func TestS61_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	var p progress
	for i := range 2 * maxProgress {
		p.store(strconv.Itoa(i), standing{"a@example.com": {state: taken}})
		assert.Equal(t, taken, p.load(strconv.Itoa(i))["a@example.com"].state)
	}
	assert.Len(t, p.of, maxProgress)
	p.forget(strconv.Itoa(2*maxProgress - 1))
	assert.Empty(t, p.load(strconv.Itoa(2*maxProgress-1)))
}
