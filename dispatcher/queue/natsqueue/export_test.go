package natsqueue

import (
	"context"
	"time"
)

// RepublishAll publishes every schedule again, overdue or not.
func RepublishAll(ctx context.Context, q *Queue) {
	slots, err := q.slots(ctx, wildcard, slotOf(time.Now().Add(time.Hour)))
	if err != nil {
		return
	}
	for slot := range slots {
		_, _, _ = q.republish(ctx, slot)
	}
}

// SetClock makes the queue take at for the servers' time, as a process does whose wall clock says so before it has
// asked them.
func SetClock(q *Queue, at time.Time) {
	q.clock.mu.Lock()
	defer q.clock.mu.Unlock()
	q.clock.read, q.clock.servers = time.Now(), at
}

// ReadClock asks the servers for their time, as New does.
func ReadClock(ctx context.Context, q *Queue) error { return q.readClock(ctx) }

// HasWatched reports whether the queue has looked for overdue schedules, and at the servers' clock, a first time. It
// does so again after ten seconds.
func HasWatched(q *Queue) bool {
	q.watch.mu.Lock()
	defer q.watch.mu.Unlock()
	return q.watch.left != nil
}
