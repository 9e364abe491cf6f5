package dispatcher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// RouteStatus is how one route is doing.
type RouteStatus struct {
	Route RouteID `json:"route"`
	// Destination is where to, without secrets, as the channel gives it (channel.Addressed); "" = it does not.
	Destination string `json:"destination,omitempty"`
	Events      string `json:"events"` // event.Filter.String of the route; of one from a document, the document's words
	State       State  `json:"state"`
	// Gone says that the destination no longer exists, AutoDisabled that it failed for Protection.DisableAfter. The
	// lane is held until the destination gets another try (see SetRoutes).
	Gone         bool `json:"gone,omitempty"`
	AutoDisabled bool `json:"auto_disabled,omitempty"`
	// OpenUntil is when the breaker, which is open, lets the next probe through; zero = it is closed, or off.
	OpenUntil time.Time `json:"open_until,omitzero"`
	// ThrottledUntil is until when the receiver asked for no more requests (retry.Throttle), at most an hour; zero = it
	// did not.
	ThrottledUntil time.Time `json:"throttled_until,omitzero"`
	Queued         int       `json:"queued"`       // deliveries that wait, retries included; -1 when the queue cannot tell
	InFlight       int       `json:"in_flight"`    // sends running now; -1 when the queue cannot tell
	DeadLetters    int       `json:"dead_letters"` // kept; -1 when the queue cannot tell
	// Unserved says why the queue starts none of the deliveries, such as servers that do not answer; "" = it does.
	Unserved  string `json:"unserved,omitempty"`
	Delivered int64  `json:"delivered"`
	Skipped   int64  `json:"skipped"` // suppressed as duplicates
	Failed    int64  `json:"failed"`  // failed attempts
	Dead      int64  `json:"dead"`    // dead deliveries
	// FailingSince is when the first attempt since the last success failed, in this run of the program; zero = it is
	// not failing.
	FailingSince time.Time `json:"failing_since,omitzero"`
	LastSuccess  time.Time `json:"last_success,omitzero"` // zero = none yet
	// LastError is that of the last failed attempt, also after a later success; "" = none yet.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// P50 and P99 are how long half and 99 % of the attempts took at most, to about an eighth, over the latest five to
	// ten minutes in which there were any; in JSON in nanoseconds. 0 = none yet.
	P50 time.Duration `json:"p50,omitempty"`
	P99 time.Duration `json:"p99,omitempty"`
}

// Condition says in one word or two how far the route is in use: "gone", "auto-disabled", "unserved" by the queue,
// "breaker open", "throttled" by the receiver's own word, or its State.
func (s RouteStatus) Condition() string {
	switch {
	case s.State != Enabled:
		return s.State.String()
	case s.Gone:
		return "gone"
	case s.AutoDisabled:
		return "auto-disabled"
	case s.Unserved != "":
		return "unserved"
	case !s.OpenUntil.IsZero():
		return "breaker open"
	case !s.ThrottledUntil.IsZero():
		return "throttled"
	}
	return s.State.String()
}

// Health says in words whether the route delivers: "OK", "failing since" a time, or "-" when it has made no attempt
// yet.
func (s RouteStatus) Health() string {
	switch {
	case !s.FailingSince.IsZero():
		return "failing since " + s.FailingSince.UTC().Format(time.RFC3339)
	case s.LastSuccess.IsZero():
		return "-"
	}
	return "OK"
}

// StatusFilter selects routes in force: what any of its fields selects. The zero value selects all.
type StatusFilter struct {
	Tenants []string  // all routes of these; "" = those without a tenant, AnyTenant = those of the whole platform
	Routes  []RouteID // these; one that is not in force is left out
}

// Status describes the selected routes: tenant by tenant, in the order in which they got their first routes, and those
// of a tenant in the order configured. For one tenant it costs the same however many others there are. Counters and
// times begin with the destination's first appearance in this Engine (see SetRoutes); what is queued and dead is the
// queue's, and outlasts a restart when that is durable. The queue is asked within ctx. What could not be counted is -1,
// and the error says why; everything else is there all the same.
func (e *Engine) Status(ctx context.Context, f StatusFilter) ([]RouteStatus, error) {
	routes := e.table.Load().selected(f)
	all := make([]RouteStatus, len(routes))
	lanes := make([]string, len(routes))
	for i, r := range routes {
		lanes[i] = r.lane.name
		all[i] = r.status()
	}
	if !e.queue.Properties().Inspection {
		return all, nil
	}
	counts, err := countLanes(ctx, e.queue, lanes)
	for i, c := range counts {
		if c != nil {
			all[i].Queued, all[i].InFlight, all[i].DeadLetters = c.Waiting(), c.Running, c.Dead
			all[i].Unserved = c.Unserved
		}
	}
	return all, err
}

// status is what is known about a route without asking the queue.
func (r *activeRoute) status() RouteStatus {
	s := RouteStatus{Route: r.lane.id, State: r.State, Queued: -1, InFlight: -1, DeadLetters: -1,
		Destination: r.address(), Events: r.Events.String()}
	r.fillCondition(&s)
	r.destination.record.fill(&s)
	s.P50, s.P99 = r.destination.record.percentiles()
	return s
}

// fillCondition fills in what Condition depends on.
func (r *activeRoute) fillCondition(s *RouteStatus) {
	r.lane.mu.Lock()
	s.Gone, s.AutoDisabled = r.destination.gone, r.destination.autoDisabled
	r.lane.mu.Unlock()
	s.OpenUntil, s.ThrottledUntil = r.destination.breaker.times()
}

// Totals sums up all routes, for a dashboard.
type Totals struct {
	Routes     int            `json:"routes"`
	Conditions map[string]int `json:"conditions"` // routes by their RouteStatus.Condition
	Failing    int            `json:"failing"`    // routes that have failed since their last success
	Delivered  int64          `json:"delivered"`
	Skipped    int64          `json:"skipped"` // suppressed as duplicates
	Failed     int64          `json:"failed"`  // failed attempts
	Dead       int64          `json:"dead"`    // dead deliveries
}

// Totals sums up the routes in force. The queue is not asked, so it costs less than a microsecond a route. The counters
// are those of Status: what removed routes and replaced destinations had counted is not among them.
func (e *Engine) Totals() Totals {
	t := Totals{Conditions: map[string]int{}}
	for of := range e.table.Load().each {
		for _, r := range of.all {
			s := RouteStatus{State: r.State}
			r.fillCondition(&s)
			r.destination.record.fill(&s)
			t.Routes++
			t.Conditions[s.Condition()]++
			if !s.FailingSince.IsZero() {
				t.Failing++
			}
			t.Delivered, t.Skipped, t.Failed, t.Dead = t.Delivered+s.Delivered, t.Skipped+s.Skipped, t.Failed+s.Failed, t.Dead+s.Dead
		}
	}
	return t
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
