package natsqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// A lane that is lost while it is being yielded, or left because it is idle, is claimed again like any other.
func TestLaneLostWhileItIsYielded(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*lane){
		"the registration ended before the lane was left": (*lane).lose,
		"the registration ended while the lane was left": func(l *lane) {
			l.owned, l.leaving = false, true
			l.lose()
		},
		"somebody removed what was written about it": func(l *lane) { l.scanned(0, "another", time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &Queue{}
			q.worker.id, q.worker.since, q.config.Lease = "this", time.Now(), time.Hour
			l := newLane(q, "a", queue.LaneOptions{Limit: 1}, nil)
			t.Cleanup(l.abort)
			l.after = time.Now().Add(time.Hour) // no servers are asked
			l.owned, l.yielding = true, true
			lose(l)
			assert.False(t, l.owned)
			assert.True(t, l.wants())
		})
	}
}
