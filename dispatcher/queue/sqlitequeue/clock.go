package sqlitequeue

import (
	"context"
	"os"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// clock is the wall clock, and notices when somebody sets it: the file can keep nothing but times of the wall clock,
// and a pause of two seconds must not become an hour and two seconds when the clock is set back by an hour.
type clock struct {
	wall func() time.Time
	// since is when the queue was opened, and is never used but for its monotonic part.
	since time.Time

	mu     sync.Mutex
	offset int64 // the wall clock minus the time since, as far as it was followed; nanoseconds
	total  int64 // the sum of all steps that were followed
}

// A smaller step is none: clocks are adjusted all the time. watchEvery is how long one may go unnoticed.
const (
	leastStep  = 500 * time.Millisecond
	watchEvery = time.Second
)

func newClock(wall func() time.Time) *clock {
	if wall == nil {
		wall = time.Now
	}
	c := &clock{wall: wall, since: time.Now()}
	c.offset = c.now()
	return c
}

// now is the wall clock's time, in nanoseconds since 1970.
func (c *clock) now() int64 { return c.wall().UnixNano() }

// step is how far the clock was set since it was last followed, and until which time it was right before.
func (c *clock) step() (by, before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unfollowed()
}

// unfollowed is step, with the clock locked.
func (c *clock) unfollowed() (by, before int64) {
	elapsed := int64(time.Since(c.since))
	by = c.now() - elapsed - c.offset
	if by < int64(leastStep) && by > -int64(leastStep) {
		by = 0
	}
	return by, c.offset + elapsed
}

// due is the time by which jobs are due: the wall clock's, but not one that it was just set to, as long as times that
// count from this run were not moved with it.
func (c *clock) due() int64 {
	by, before := c.step()
	if by == 0 {
		return c.now()
	}
	return before
}

// seen is the sum of all steps, also of one that was not followed yet.
func (c *clock) seen() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	by, _ := c.unfollowed()
	return c.total + by
}

// follow notes that a step was followed.
func (c *clock) follow(by int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
	c.total += by
}

// steps is the sum of the steps that were followed.
func (c *clock) steps() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// watchLane is the loader's job that looks at the clock.
const watchLane = "clock"

// watchClock looks at the clock now and every watchEvery.
func (q *Queue) watchClock() {
	if by, _ := q.clock.step(); by != 0 {
		q.writer.signal()
	}
	next := queue.Job{NotBefore: time.Now().Add(watchEvery)}
	_ = q.loads.Schedule(context.Background(), watchLane, next) // there is no bound to refuse it
}

// followClock moves what counts from a moment of this run by the step that the clock made: ages stay what they are, and
// pauses after an attempt do not become longer. A time that was asked for as such stays, and a pause that has ended
// by the wall clock has ended. Called before each commit, so that nothing is stored in between.
func (w *writer) followClock() {
	q := w.queue
	by, before := q.clock.step()
	if by == 0 {
		return
	}
	_, err := w.try([]*change{{apply: func(t *tx) error {
		if by < 0 {
			_, err := t.exec("UPDATE job SET due = due + ?1, not_before = due + ?1 WHERE pause = 1 AND due > ?2 AND due < ?3",
				by, before, int64(heldBack))
			if err != nil {
				return err
			}
		}
		_, err := t.exec("UPDATE job SET enqueued = enqueued + ?1, first_tried = first_tried + ?1 WHERE seq > ?2", by, q.openedAt)
		t.then = append(t.then, func() { q.clock.follow(by) })
		return err
	}}})
	if err != nil {
		return // and it is tried again
	}
	w.log.Warn("tocsin: the clock was set; the queue follows", "by", time.Duration(by))
	for _, l := range q.all() {
		l.lookAgain()
	}
}

// lastWritten is when the file was last written, by the wall clock of that moment; 0 = there is none.
func lastWritten(path string) (at int64) {
	for _, name := range [...]string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			at = max(at, info.ModTime().UnixNano())
		}
	}
	return at
}

// followBack does for a file that was last written in the future what followClock does while it is open: the clock was
// set back in between.
func (c *clock) followBack(w *conn, written int64) error {
	by := written - c.now()
	if by < int64(leastStep) {
		return nil
	}
	_, err := w.exec("UPDATE job SET due = due - ?1, not_before = due - ?1 WHERE pause = 1 AND due > ?2 AND due < ?3",
		by, written, int64(heldBack))
	if code(err)&primary == sqlite3.SQLITE_FULL {
		return nil // a full disk does not keep a file from being opened
	}
	return err
}

// follow moves the times of a job that counts from this run by the steps since it was read or stored.
func (r *row) follow(opened, steps int64) {
	if by := steps - r.steps; by != 0 && r.seq > opened {
		r.enqueued, r.firstTried = moved(r.enqueued, by), moved(r.firstTried, by)
	}
	r.steps = steps
}

func moved(stamp any, by int64) any {
	if n, ok := stamp.(int64); ok {
		return n + by
	}
	return nil
}
