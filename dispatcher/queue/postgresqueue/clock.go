package postgresqueue

import (
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// clock shows the server's time: what has passed here since it was last asked for, after that. So processes whose own
// clocks differ agree on when a job is due. Small differences are followed step by step, as by a clock that runs a
// little faster or slower; it is set when the server's was.
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

// follow takes in that the server showed a time between two moments of this process.
func (c *clock) follow(server time.Time, sent, received int64) {
	shown := (sent+received)/2 + c.slewed.Load() + c.offset.Load()
	switch by := time.Duration(server.UnixNano() - shown); {
	case !c.set.Swap(true) || by.Abs() >= leastStep:
		c.offset.Add(int64(by))
	case by.Abs() > time.Duration(received-sent)/2: // else the way there and back explains it
		c.slewed.Add(int64(min(max(by, -mostSlew), mostSlew)))
	}
}
