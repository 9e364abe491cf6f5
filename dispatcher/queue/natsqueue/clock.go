package natsqueue

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// clock is the servers' time, which decides when a schedule fires. The processes of a queue may disagree with it
// and with each other: a delay is counted from the servers' now, and whether a job has come too early is judged by
// it. Between two readings it goes on with this process's monotonic clock, so that setting the wall clock moves
// nothing.
type clock struct {
	mu      sync.Mutex
	read    time.Time // when it was read, for its monotonic part
	servers time.Time // what it was then
}

// newClock begins with a wall clock, until the servers' is known.
func newClock(wall time.Time) *clock { return &clock{read: time.Now(), servers: wall.Round(0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers.Add(time.Since(c.read))
}

// agreement is how far two clocks may be apart and count as one: less than anybody notices, more than a busy
// machine's delays make of clocks that agree.
const agreement = 100 * time.Millisecond

// heard takes a server's time, which is of some moment since asked.
func (c *clock) heard(asked, server time.Time) {
	half := time.Since(asked) / 2
	now, known := server.Add(half), c.now()
	if off := now.Sub(known).Abs(); off <= agreement+half {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.servers = time.Now(), now.Round(0)
}

// until is how long it is to a time of the servers' clock.
func (c *clock) until(at time.Time) time.Duration { return at.Sub(c.now()) }

// readClock asks the leader of the stream of jobs, whose clock fires its schedules.
func (q *Queue) readClock(ctx context.Context) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	_, err := jsapi.Retry(ctx, func(ctx context.Context) (struct{}, error) {
		asked := time.Now()
		info, err := q.jobs.Info(ctx)
		if err == nil && !info.TimeStamp.IsZero() {
			q.clock.heard(asked, info.TimeStamp)
		}
		return struct{}{}, err
	})
	return err
}
