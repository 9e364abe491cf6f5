package natsqueue

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every state × every wish × every signal. A lane that is to be served is never left in a state in which nothing is
// tried.
func TestNextState(t *testing.T) {
	t.Parallel()
	type row = map[signal]state
	always := func(s state) row {
		return row{woken: s, joined: s, failed: s, stalled: s, ended: s, expired: s}
	}
	table := map[goal]map[state]row{
		toServe: {
			idle:      always(joining),
			joining:   {woken: joining, joined: serving, failed: joining, stalled: joining, ended: joining, expired: joining},
			serving:   {woken: serving, joined: serving, failed: serving, stalled: joining, ended: joining, expired: serving},
			lingering: {woken: serving, joined: serving, failed: serving, stalled: joining, ended: joining, expired: serving},
			stopped:   always(stopped),
		},
		toRest: {
			idle:      always(idle),
			joining:   always(idle),
			serving:   {woken: lingering, joined: lingering, failed: lingering, stalled: idle, ended: idle, expired: idle},
			lingering: {woken: lingering, joined: lingering, failed: lingering, stalled: idle, ended: idle, expired: idle},
			stopped:   always(stopped),
		},
		toStop: {
			idle: always(stopped), joining: always(stopped), serving: always(stopped), lingering: always(stopped),
			stopped: always(stopped),
		},
	}
	for w := toServe; w <= toStop; w++ {
		for s := idle; s <= stopped; s++ {
			for e := woken; e <= expired; e++ {
				assert.Equal(t, table[w][s][e], next(s, w, e), "state %d, wish %d, signal %d", s, w, e)
			}
		}
	}
}
