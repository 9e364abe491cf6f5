package dispatcher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/retry"
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
	OpenUntil time.Time
	// HeldUntil is until when the receiver asked for no more requests (retry.Throttle), at most an hour; zero = it did
	// not.
	HeldUntil    time.Time
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

// Condition says in one word or two how far the route is in use: "gone", "given up", "breaker open", "held" by the
// receiver's own word, or its State.
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
	case !s.HeldUntil.IsZero():
		return "held"
	}
	return s.State.String()
}

// Status describes every route, in the order configured. Counters and times begin with the route's first appearance in
// this Engine, and anew when its name passes to another tenant; what is queued and dead is the queue's, and outlasts a
// restart when that is durable. The queue is asked within ctx. What could not be counted is -1, and the error says why;
// everything else is there all the same.
func (e *Engine) Status(ctx context.Context) ([]RouteStatus, error) {
	routes := e.index.Load().routes
	all := make([]RouteStatus, len(routes))
	names := make([]string, len(routes))
	for i, b := range routes {
		names[i] = b.Name
		s := &all[i]
		*s = RouteStatus{Name: b.Name, Tenant: b.Tenant, State: b.State, Queued: -1, InFlight: -1, Dead: -1,
			Destination: b.destination(), Events: b.Events.String(),
			OpenUntil: b.dest.hold.openUntil(), HeldUntil: b.dest.hold.quietUntil()}
		b.lane.mu.Lock()
		if b.lane.current.Load() == b {
			s.Gone, s.GivenUp = b.lane.gone, b.lane.givenUp
		}
		b.lane.mu.Unlock()
		b.dest.record.fill(s)
	}
	if !e.queue.Properties().Inspection {
		return all, nil
	}
	counts, err := countLanes(ctx, e.queue, names)
	for i, c := range counts {
		if c != nil {
			all[i].Queued, all[i].InFlight, all[i].Dead = c.Waiting(), c.Running, c.Dead
		}
	}
	return all, err
}

// countWorkers is how many lanes are counted at a time.
const countWorkers = 16

// countLanes counts lanes side by side, so that a queue that does not answer costs ctx's time once. A lane that could
// not be counted is nil; the error says how many those are and why the first of them could not be.
func countLanes(ctx context.Context, q queue.Queue, names []string) ([]*queue.Counts, error) {
	counts := make([]*queue.Counts, len(names))
	errs := make([]error, len(names))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(countWorkers, len(names)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				if errs[i] = ctx.Err(); errs[i] != nil {
					continue
				}
				c, err := q.Count(ctx, names[i])
				if errs[i] = err; err == nil {
					counts[i] = &c
				}
			}
		})
	}
	wg.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) == 0 {
		return counts, nil
	}
	return counts, &CountError{Lanes: len(failed), Err: failed[0]}
}

// record is what a lane remembers of its attempts. A success, the hot case, touches two counters and perhaps the
// durations.
type record struct {
	delivered, skipped, died atomic.Int64
	lastSuccess              atomic.Int64 // Unix nanoseconds; 0 = none
	failing                  atomic.Bool
	took                     durations

	mu           sync.Mutex
	failed       int64
	failingSince time.Time
	downSince    time.Time // the first transient failure since the last success; zero = there was none
	refused      int       // permanent failures since the last success
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
		r.failingSince, r.downSince, r.refused = time.Time{}, time.Time{}, 0
		r.mu.Unlock()
	}
	return weight
}

// refusals is how many deliveries a destination refuses, with no success in between, before that is its failure and not
// theirs.
const refusals = 10

// failure counts a failed attempt. It returns since when the destination has been failing; zero = that is not known,
// because the attempt was refused, and not enough were: a receiver that answers one event with a refusal is well.
func (r *record) failure(at time.Time, took time.Duration, verdict retry.Verdict, err error) time.Time {
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
	if verdict == retry.VerdictTransient {
		if r.downSince.IsZero() {
			r.downSince = at
		}
	} else {
		r.refused++
	}
	switch {
	case r.refused >= refusals:
		return r.failingSince
	case verdict == retry.VerdictTransient:
		return r.downSince
	}
	return time.Time{}
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
