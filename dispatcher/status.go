package dispatcher

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// RouteStatus is how one route is doing.
type RouteStatus struct {
	Name        string
	Tenant      string
	Destination string // where to, without secrets, as the channel tells it (channel.Addressed); "" = it does not
	Events      string // the route's filter in words
	State       State
	Gone        bool // the destination no longer exists; the lane is paused until SetRoutes
	GivenUp     bool // it failed for Protection.DisableAfter; the lane is paused until SetRoutes
	// OpenUntil is when the breaker, which is open, lets the next probe through; zero = it is closed, or off.
	OpenUntil    time.Time
	Queued       int // deliveries that wait, retries included; -1 when the queue cannot tell
	InFlight     int // sends running now; -1 when the queue cannot tell
	Dead         int // dead letters kept; -1 when the queue cannot tell
	Delivered    int64
	Skipped      int64     // suppressed as duplicates
	Failed       int64     // failed attempts
	Died         int64     // deliveries given up
	FailingSince time.Time // first failed attempt since the last success, in this run of the program; zero = not failing
	LastSuccess  time.Time // zero = none yet
	LastError    string    // of the last failed attempt, also after a later success; "" = none yet
	LastErrorAt  time.Time
	// P50 and P99 are how long half and 99 % of the attempts took at most, to about an eighth, over the latest five to ten
	// minutes in which there were any. Of a busy route, one of 16 successes is measured. 0 = none yet.
	P50, P99 time.Duration
}

// Condition says in one word or two how far the route is in use: "gone", "given up", "breaker open", or its State.
func (s RouteStatus) Condition() string {
	switch {
	case s.State != Enabled:
		return s.State.String()
	case s.Gone:
		return "gone"
	case s.GivenUp:
		return "given up"
	case !s.OpenUntil.IsZero():
		return "breaker open"
	}
	return s.State.String()
}

// Status describes every route, in the order configured. Counters and times begin with the route's first appearance in
// this Engine; what is queued and dead is the queue's, and outlasts a restart when that is durable.
func (e *Engine) Status() []RouteStatus {
	inspector, _ := e.queue.(queue.Inspector)
	routes := e.index.Load().routes
	all := make([]RouteStatus, len(routes))
	for i, b := range routes {
		s := &all[i]
		*s = RouteStatus{Name: b.Name, Tenant: b.Tenant, State: b.State, Queued: -1, InFlight: -1, Dead: -1,
			Destination: b.destination(), Events: b.Events.String(), OpenUntil: b.lane.breaker.openUntil()}
		if inspector != nil {
			if c, err := inspector.Count(context.Background(), b.Name); err == nil {
				s.Queued, s.InFlight, s.Dead = c.Waiting(), c.Running, c.Dead
			}
		}
		b.lane.mu.Lock()
		s.Gone, s.GivenUp = b.lane.gone, b.lane.givenUp
		b.lane.mu.Unlock()
		b.lane.record.fill(s)
	}
	return all
}

// record is what a lane remembers of its attempts. A success, the hot case, touches two counters and perhaps the durations.
type record struct {
	delivered, skipped, died atomic.Int64
	lastSuccess              atomic.Int64 // Unix nanoseconds; 0 = none
	failing                  atomic.Bool
	took                     durations

	mu           sync.Mutex
	failed       int64
	failingSince time.Time
	lastError    string
	lastErrorAt  time.Time
}

// success returns for how many the duration of this one is to be counted; 0 = it need not be.
func (r *record) success(at time.Time, skipped bool) uint32 {
	if skipped {
		r.skipped.Add(1)
		return 0
	}
	weight := r.took.weight(r.delivered.Add(1))
	r.lastSuccess.Store(at.UnixNano())
	if r.failing.Load() {
		r.mu.Lock()
		r.failing.Store(false)
		r.failingSince = time.Time{}
		r.mu.Unlock()
	}
	return weight
}

// failure returns when the route began to fail.
func (r *record) failure(at time.Time, took time.Duration, err error) time.Time {
	text := err.Error()
	r.took.add(took, at, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	if r.failingSince.IsZero() {
		r.failingSince = at
	}
	r.failing.Store(true)
	r.lastError, r.lastErrorAt = text, at
	return r.failingSince
}

func (r *record) fill(s *RouteStatus) {
	s.Delivered, s.Skipped, s.Died = r.delivered.Load(), r.skipped.Load(), r.died.Load()
	if ns := r.lastSuccess.Load(); ns != 0 {
		s.LastSuccess = time.Unix(0, ns)
	}
	s.P50, s.P99 = r.took.percentiles()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Failed, s.FailingSince, s.LastError, s.LastErrorAt = r.failed, r.failingSince, r.lastError, r.lastErrorAt
}
