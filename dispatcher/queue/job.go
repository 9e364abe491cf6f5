package queue

import (
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

// Job is one event on its way to one route. A queue carries every field; durable ones carry the event's bytes as they
// are.
type Job struct {
	Event event.Event
	Lane  string // name of the lane
	// OrderKey orders a job among those of its lane with an equal key; "" is unordered.
	OrderKey string
	// Generation is 0, or another number for each redelivery on purpose.
	Generation int64
	Enqueued   time.Time // when the dispatcher accepted it; its age counts from here
	NotBefore  time.Time // zero = at once
	FirstTried time.Time // when its first counted attempt began; zero = not tried
	// Urgent lets a job without OrderKey start before the others of its lane that are due, where Properties.Urgency
	// says so.
	Urgent  bool
	Attempt int               // counted attempts made so far
	Headers map[string]string // for adapters, such as trace context; must not be modified
}

// ID identifies the job: the delivery's id and, for a redelivery on purpose, "~" and the generation. A queue stores a
// job id once.
func (j Job) ID() string {
	id := channel.Delivery{Event: j.Event, Route: channel.ParseRouteID(j.Lane)}.ID()
	if j.Generation == 0 {
		return id
	}
	return id + "~" + strconv.FormatInt(j.Generation, 10)
}

// Counts are the jobs of a lane by state.
type Counts struct {
	Due     int // could start now, if lane and order let them; behind another of their order key whatever their time
	Later   int // wait for their time and nothing else
	Running int
	Dead    int
	// Unserved says why jobs of an open lane do not start, as far as the queue knows: its servers do not answer, for
	// example. "" = nothing keeps them.
	Unserved string
}

// Waiting is the number of jobs that have not started.
func (c Counts) Waiting() int { return c.Due + c.Later }

// DeadLetter is a job that is not run again, kept as evidence.
type DeadLetter struct {
	Job
	Seq    int64     // increases with each dead letter; the cursor for Selection.After
	At     time.Time // when it became dead
	Reason string    // why, in words
}

// Selection picks dead letters. Fields combine with "and"; the zero value picks all.
type Selection struct {
	Lane       string    // "" = every lane
	LanePrefix string    // lanes whose names begin so; "" = every lane
	IDs        []string  // job ids; nil = any
	Since      time.Time // dead at or after this time; zero = any time
	After      int64     // Seq greater than this, for paging
	Limit      int       // at most so many; 0 = no limit
}

// Match reports whether l is selected, apart from Limit.
func (s Selection) Match(l DeadLetter) bool {
	if s.Lane != "" && l.Lane != s.Lane || !strings.HasPrefix(l.Lane, s.LanePrefix) || l.Seq <= s.After || l.At.Before(s.Since) {
		return false
	}
	if s.IDs == nil {
		return true
	}
	id := l.ID()
	for _, want := range s.IDs {
		if want == id {
			return true
		}
	}
	return false
}
