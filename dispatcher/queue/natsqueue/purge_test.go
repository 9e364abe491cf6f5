package natsqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// A lane that is there only because somebody purges it is known until that is done: it is what makes a lane that is
// opened meanwhile wait.
func TestPurgedLaneStaysKnownUntilItIsPurged(t *testing.T) {
	t.Parallel()
	q := &Queue{stopped: map[string]*lane{}, lanes: map[string]*lane{}}
	l := newLane(q, "a", queue.LaneOptions{}, nil)
	l.stopped = true
	l.after = time.Now().Add(time.Hour) // no servers are asked
	t.Cleanup(l.abort)
	q.stopped["a"] = l
	answer := make(chan purged, 1)
	l.asks = append(l.asks, answer)
	l.mu.Lock()
	l.stepAndUnlock()
	assert.Same(t, l, q.stopped["a"])
	l.withdraw(answer)
	assert.Empty(t, q.stopped)
}
