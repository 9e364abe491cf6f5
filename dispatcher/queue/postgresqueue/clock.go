package postgresqueue

import (
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// clock shows the server's time: what has passed here since it was last asked for, after that. So processes whose own
// clocks differ agree on when a job is due. It shows no time before the server does, and lags by the way of an answer
// at most. Small differences are followed step by step, as by a clock that runs a little faster or slower; it is set
// when the server's was.
type clock struct {
	elapsed func() int64 // nanoseconds since some moment
	offset  atomic.Int64 // of the server's time
	slewed  atomic.Int64 // what the clock has run faster or slower by
	set     atomic.Bool
}

const (
	// mostSlew is how much the clock is corrected at once, and leastStep the difference for which it is set.
	mostSlew  = 5 * time.Millisecond
	leastStep = 500 * time.Millisecond
)

// Reading is what package lanes reads.
func (c *clock) Reading() lanes.Reading {
	elapsed := c.elapsed() + c.slewed.Load()
	return lanes.Reading{Wall: elapsed + c.offset.Load(), Elapsed: elapsed}
}

func (c *clock) now() int64 { return c.Reading().Wall }

// follow takes in that the server showed a time between two moments of this process: it shows as much when the answer
// is received, at least, and as little when the question is sent, at most.
func (c *clock) follow(server time.Time, sent, received int64) {
	ahead := c.slewed.Load() + c.offset.Load()
	least, most := server.UnixNano()-received-ahead, server.UnixNano()-sent-ahead
	switch {
	case !c.set.Swap(true) || least >= int64(leastStep) || most <= -int64(leastStep):
		c.offset.Add(least)
	case least > 0:
		c.slewed.Add(min(least, int64(mostSlew)))
	case most < 0:
		c.slewed.Add(max(least, -int64(mostSlew)))
	}
}
