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
	DeadLetters int // most dead letters kept; the oldest goes first; 0 = 1,000
	IDWindow    int // how many of the latest events have ids that are known; 0 = 65,536
}

// Queue promises order and isolation but not durability. It uses a goroutine per running handler and no other, and
// about 60 to 150 bytes per waiting job besides the event, which jobs share. All methods are safe for concurrent use.
//
// Pauses and times are met although the wall clock is set or the machine sleeps: within seconds of that, and to
// Properties.Precision otherwise.
type Queue struct {
	scheduler *lanes.Scheduler
	known     knownEvents
	dead      deadLetters
}

var _ queue.Queue = (*Queue)(nil)

// New returns an empty queue. It needs no closing: once its lanes are stopped, nothing of it runs.
func New(o Options) *Queue { return newQueue(o, lanes.System()) }

func newQueue(o Options, clock func() lanes.Reading) *Queue {
	q := &Queue{}
	q.scheduler = lanes.New(clock, lanes.Hooks{Dead: q.dead.addFailed})
	q.dead.limit = orDefault(o.DeadLetters, 1000)
	q.known.init(orDefault(o.IDWindow, 65_536))
	return q
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties {
	return queue.Properties{
		Precision:  10 * time.Millisecond,
		IDWindow:   fmt.Sprintf("about the latest %d events", q.known.limit),
		KeyedOrder: true,
		Urgency:    true,
		Bounded:    true,
		Scheduling: true,
		Inspection: true,
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
	var full []string
	var dropped []lanes.Dropped
	if err := q.enqueue(jobs, &full, &dropped); err != nil {
		return err
	}
	for _, d := range dropped {
		if d.Notify != nil {
			d.Notify(d.Job)
		}
	}
	if full != nil {
		return &queue.BacklogError{Lanes: full}
	}
	return nil
}

// enqueue stores jobs, names the lanes without room in full, and adds what was dropped for others to dropped.
func (q *Queue) enqueue(jobs []queue.Job, full *[]string, dropped *[]lanes.Dropped) error {
	var few [2]eventJobs
	events := q.known.group(few[:0], jobs)
	q.known.mu.Lock()
	defer q.known.mu.Unlock()
	if err := q.known.conflict(events); err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		q.known.open(e)
		for i := range e.jobs {
			j := &e.jobs[i]
			lane := q.scheduler.Lane(j.Lane)
			if e.got(lane.Hash()) {
				continue
			}
			before := len(*dropped)
			if lane.Add(j, dropped) {
				e.add(lane.Hash())
			} else if !slices.Contains(*full, j.Lane) {
				*full = append(*full, j.Lane)
			}
			for _, d := range (*dropped)[before:] {
				q.dead.add(queue.DeadLetter{Job: d.Job, Reason: "dropped: the backlog was full"})
			}
		}
		q.known.close(e)
	}
	return nil
}

// Schedule implements queue.Queue.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !q.scheduler.Schedule(key, &j) {
		return &queue.BacklogError{Lanes: []string{j.Lane}}
	}
	return nil
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
	for _, letter := range q.dead.list(queue.Selection{}) {
		names = append(names, letter.Lane)
	}
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
