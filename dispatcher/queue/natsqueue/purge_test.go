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

// A lane that is opened again is owned in the place of the one before, also when it is to be purged: else the one
// before would leave it once its handlers have ended, and another worker run what this one runs.
func TestPurgeOfALaneOpenedAgain(t *testing.T) {
	t.Parallel()
	q := &Queue{}
	q.worker.id, q.worker.since, q.config.Lease = "this", time.Now(), time.Hour
	before := newLane(q, "a", queue.LaneOptions{}, nil)
	l := newLane(q, "a", queue.LaneOptions{Limit: 1}, nil)
	t.Cleanup(before.abort)
	t.Cleanup(l.abort)
	before.owned, before.stopped, before.working, before.claimed = true, true, 1, 7
	l.before, l.serving = before, true
	l.asks = append(l.asks, make(chan purged, 1))
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Equal(t, adopt, l.next())
}
