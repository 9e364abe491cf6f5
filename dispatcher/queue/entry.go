package queue

import (
	"math"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// entry is a job inside a Memory, kept small because there may be a million: its lane is known from where it is, and
// times are nanoseconds since the queue's base.
type entry struct {
	event      event.Event
	orderKey   string
	name       string // schedule key; "" = none
	generation int64
	enqueued   int64
	due        int64 // unset = at once
	firstTried int64
	headers    map[string]string
	attempt    int32
	heapIndex  int32
	place      place
	links      [2]link
}

// place says where an entry is.
type place uint8

const (
	running  place = iota // with a worker
	ready                 // in the ready list
	later                 // in the heap
	follower              // behind another entry with its order key
)

// unset is the stamp of a zero time.
const unset = math.MinInt64

func (m *Memory) stamp(t time.Time) int64 {
	if t.IsZero() {
		return unset
	}
	return max(int64(t.Sub(m.base)), unset+1)
}

func (m *Memory) now() int64 { return int64(time.Since(m.base)) }

// after is the stamp d from now; "never" written as the greatest duration must not wrap round to the past.
func (m *Memory) after(d time.Duration) int64 {
	now := m.now()
	return now + min(int64(d), math.MaxInt64-now)
}

func (m *Memory) time(stamp int64) time.Time {
	if stamp == unset {
		return time.Time{}
	}
	return m.base.Add(time.Duration(stamp))
}

func (m *Memory) fill(e *entry, j *Job) {
	*e = entry{
		event:      j.Event,
		orderKey:   j.OrderKey,
		generation: j.Generation,
		enqueued:   m.stamp(j.Enqueued),
		due:        m.stamp(j.NotBefore),
		firstTried: m.stamp(j.FirstTried),
		headers:    j.Headers,
		attempt:    int32(min(j.Attempt, math.MaxInt32)),
	}
}

func (m *Memory) job(e *entry, lane string) Job {
	return Job{
		Event:      e.event,
		Route:      lane,
		OrderKey:   e.orderKey,
		Generation: e.generation,
		Enqueued:   m.time(e.enqueued),
		NotBefore:  m.time(e.due),
		FirstTried: m.time(e.firstTried),
		Headers:    e.headers,
		Attempt:    int(e.attempt),
	}
}
