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
		return row{woken: s, joined: s, failed: s, doubted: s, ended: s, tired: s}
	}
	table := map[wish]map[state]row{
		toServe: {
			away:      always(joining),
			joining:   {woken: joining, joined: serving, failed: joining, doubted: joining, ended: joining, tired: joining},
			serving:   {woken: serving, joined: serving, failed: serving, doubted: joining, ended: joining, tired: serving},
			lingering: {woken: serving, joined: serving, failed: serving, doubted: joining, ended: joining, tired: serving},
			stopped:   always(stopped),
		},
		toRest: {
			away:      always(away),
			joining:   always(away),
			serving:   {woken: lingering, joined: lingering, failed: lingering, doubted: away, ended: away, tired: away},
			lingering: {woken: lingering, joined: lingering, failed: lingering, doubted: away, ended: away, tired: away},
			stopped:   always(stopped),
		},
		toStop: {
			away: always(stopped), joining: always(stopped), serving: always(stopped), lingering: always(stopped),
			stopped: always(stopped),
		},
	}
	for w := toServe; w <= toStop; w++ {
		for s := away; s <= stopped; s++ {
			for e := woken; e <= tired; e++ {
				assert.Equal(t, table[w][s][e], next(s, w, e), "state %d, wish %d, signal %d", s, w, e)
			}
		}
	}
}
