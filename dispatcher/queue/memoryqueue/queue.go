// Package memoryqueue is the queue of a single process. What waits in it when the process ends is lost.
package memoryqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Options configure a Queue. The zero value is ready for use.
type Options struct {
	IDWindow int // how many of the latest events have ids that are known; 0 = 65,536
}

// Queue promises order and isolation but not durability. It uses a goroutine per running handler and no other, and
// about 60 to 150 bytes per waiting job besides the event, which jobs share. All methods are safe for concurrent use.
//
// Pauses and times are met although the wall clock is set or the machine sleeps: within seconds of that, and to
// Properties.Precision otherwise.
type Queue struct {
	scheduler *lanes.Scheduler
	known     knownEvents
	recent    [64]*lanes.Lane // those of the latest call, by position; guarded by known
	dead      deadLetters
}

var _ queue.Queue = (*Queue)(nil)

// New returns an empty queue. It needs no closing: once its lanes are stopped, nothing of it runs.
func New(o Options) *Queue { return newQueue(o, lanes.System()) }

func newQueue(o Options, clock func() lanes.Reading) *Queue {
	q := &Queue{}
	q.scheduler = lanes.New(clock, lanes.Hooks{Dead: q.dead.addFailed})
	if o.IDWindow <= 0 {
		o.IDWindow = 65_536
	}
	q.known.init(o.IDWindow)
	return q
}

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties {
	return queue.Properties{
		Precision:   10 * time.Millisecond,
		IDWindow:    fmt.Sprintf("about the latest %d events", q.known.limit),
		KeyedOrder:  true,
		Urgency:     true,
		Bounded:     true,
		DeadBounded: true,
		Scheduling:  true,
		Inspection:  true,
	}
}

// Open implements queue.Queue.
func (q *Queue) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	return q.scheduler.Open(lane, o, h)
}

// Bound implements queue.Queue.
func (q *Queue) Bound(lane string, b queue.Bound) { q.scheduler.Bound(lane, b) }

// Enqueue implements queue.Queue. When an event is in conflict, nothing at all is stored.
func (q *Queue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var full queue.BacklogError
	var dropped []lanes.Dropped
	if err := q.enqueue(jobs, &full, &dropped); err != nil {
		return err
	}
	for _, d := range dropped {
		if d.Bound.Dropped != nil {
			d.Bound.Dropped(d.Job)
		}
	}
	return lanes.NoRoom(full)
}

// enqueue stores jobs, names what has no room in full, and adds what was dropped for others to dropped.
func (q *Queue) enqueue(jobs []queue.Job, full *queue.BacklogError, dropped *[]lanes.Dropped) error {
	var few [2]eventJobs
	events := q.known.group(few[:0], jobs)
	q.known.mu.Lock()
	defer q.known.mu.Unlock()
	if len(events) > 1 { // of one alone, open finds a conflict before anything is stored
		if err := q.known.conflict(events); err != nil {
			return err
		}
	}
	for i := range events {
		e := &events[i]
		if err := q.known.open(e); err != nil {
			return err
		}
		for i := range e.jobs {
			j := &e.jobs[i]
			lane, hash := q.lane(i, j.Lane)
			// What is behind a refused job of its lane is refused too, though there may be room by now: whoever repeats
			// the call finds both in their order.
			if q.known.got(e, hash) || slices.Contains(full.Lanes, j.Lane) {
				continue
			}
			if lane == nil {
				lane = q.scheduler.Lane(j.Lane)
			}
			before := len(*dropped)
			if lane.Add(j, dropped, full) {
				e.add(hash)
			}
			for _, d := range (*dropped)[before:] {
				q.dead.add(queue.DeadLetter{Job: d.Job, Reason: "dropped: the backlog was full"}, d.Bound)
			}
		}
		q.known.close(e)
	}
	return nil
}

// lane finds the lane of an event's job, nil if there is none, and its hash. Most events go to the lanes of the one
// before.
func (q *Queue) lane(i int, name string) (*lanes.Lane, uint64) {
	var l *lanes.Lane
	if i >= len(q.recent) {
		l = q.scheduler.Find(name)
	} else if l = q.recent[i]; l == nil || l.Name() != name || l.Removed() {
		l = q.scheduler.Find(name)
		q.recent[i] = l
	}
	if l == nil {
		return nil, q.scheduler.Hash(name)
	}
	return l, l.Hash()
}

// Schedule implements queue.Queue.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.scheduler.Schedule(key, &j)
}

// Cancel implements queue.Queue.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return q.scheduler.Cancel(lane, key), nil
}

// Lanes implements queue.Queue.
func (q *Queue) Lanes(ctx context.Context) ([]string, error) {
	names := q.scheduler.Lanes()
	names = append(names, q.dead.names()...)
	slices.Sort(names)
	return slices.Compact(names), ctx.Err()
}

// Count implements queue.Queue.
func (q *Queue) Count(ctx context.Context, lane string) (queue.Counts, error) {
	c := q.scheduler.Count(lane)
	c.Dead = q.dead.count(lane)
	return c, ctx.Err()
}

// Purge implements queue.Queue.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return q.scheduler.Purge(lane), nil
}
