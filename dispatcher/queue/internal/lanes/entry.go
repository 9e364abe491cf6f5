package lanes

import (
	"container/list"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Entry is a job in a lane, from Add until it is done. It is kept small, because there may be a million: its lane is
// known from where it is.
type Entry struct {
	event      event.Event
	orderKey   string
	name       string // a scheduled job's key; "" = none
	generation int64
	enqueued   int64 // stamp
	firstTried int64 // stamp
	due        int64 // unset = at once
	headers    map[string]string
	turn       int64         // grows with the order in which entries came to wait
	age        *list.Element // in a lane that drops the oldest
	ref        *Ref          // of a job in a store; nil = it is in memory only
	attempt    int32
	index      int32 // in the heap
	place      place
	urgent     bool
	wall       bool // due is what the wall clock shows then, not the clock
}

// place says where an entry is.
type place uint8

const (
	nowhere  place = iota // with a worker, or not in the lane any more
	ready                 // may start
	hurried               // may start before those
	later                 // in the heap
	follower              // behind another entry with its order key
)

// fill makes e the entry of a job.
func (c *clock) fill(e *Entry, j *queue.Job, name string) {
	*e = Entry{
		event: j.Event, orderKey: j.OrderKey, name: name, generation: j.Generation, enqueued: c.stamp(j.Enqueued),
		firstTried: c.stamp(j.FirstTried), due: unset, headers: j.Headers,
		attempt: int32(min(j.Attempt, math.MaxInt32)), urgent: j.Urgent && j.OrderKey == "",
	}
	if !j.NotBefore.IsZero() {
		e.due, e.wall = unixNano(j.NotBefore), true
	}
}

// due is when the time of e comes.
func (c *clock) due(e *Entry) int64 {
	if e.wall {
		return c.at(e.due)
	}
	return e.due
}

// job is what fill was given, with what became of it since.
func (c *clock) job(e *Entry, lane string) queue.Job {
	j := queue.Job{
		Event: e.event, Route: lane, OrderKey: e.orderKey, Generation: e.generation, Enqueued: c.time(e.enqueued),
		FirstTried: c.time(e.firstTried), Attempt: int(e.attempt), Headers: e.headers, Urgent: e.urgent,
	}
	switch {
	case e.due == unset:
	case e.wall:
		j.NotBefore = time.Unix(0, e.due)
	default:
		j.NotBefore = c.wall(e.due)
	}
	return j
}

// count notes a counted attempt that began then.
func (c *clock) count(e *Entry, began time.Time) {
	e.attempt++
	if e.firstTried == unset {
		e.firstTried = c.stamp(began)
	}
}
