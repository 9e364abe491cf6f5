package postgresqueue

import (
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/event"
)

// recentEvents are events that were read for one lane, and are not sent and parsed again for the others that have them.
// The writer's goroutine uses it.
type recentEvents struct {
	events map[int64]event.Event // by their numbers
	order  []int64               // the oldest first
	bytes  int
}

// Limits of recentEvents.
const (
	mostRecent      = 2048
	mostRecentBytes = 4 << 20
)

// after are the least n numbers of the events after one, in order; not nil, which is NULL.
func (r *recentEvents) after(num int64, n int) []int64 {
	found := make([]int64, 0, n)
	for _, at := range r.order {
		if at > num {
			found = append(found, at)
		}
	}
	slices.Sort(found)
	return found[:min(n, len(found))]
}

// add adds the events of jobs, in place of the oldest.
func (r *recentEvents) add(jobs []*durable.Job) {
	if r.events == nil {
		r.events = map[int64]event.Event{}
	}
	for _, j := range jobs {
		if _, ok := r.events[j.Ref.Num]; ok || j.Ref.Unreadable != "" {
			continue
		}
		r.events[j.Ref.Num] = j.Event
		r.order = append(r.order, j.Ref.Num)
		r.bytes += len(j.Event.JSON())
	}
	for len(r.order) > mostRecent || r.bytes > mostRecentBytes {
		oldest := r.order[0]
		r.order = r.order[1:]
		r.bytes -= len(r.events[oldest].JSON())
		delete(r.events, oldest)
	}
}
