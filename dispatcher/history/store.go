package history

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Store keeps entries. All methods are safe for concurrent use; with ctx done they return its error and change nothing.
// Package historytest checks an implementation. What a method costs for one tenant does not depend on how much there is
// of others.
type Store interface {
	// Append stores all the entries or, with an error, none. It gives each the next Seq, whatever Seq it has. It does
	// not keep the slice; what the entries point to is not modified by anybody.
	Append(ctx context.Context, entries ...Entry) error
	// Query returns the entries that q selects, the newest (highest Seq) first, at most q.Max() of them.
	Query(ctx context.Context, q Query) ([]Entry, error)
	// Totals counts the entries that q selects and that are kept still, by outcome, for each step of time from q.Since
	// up to q.Until, as q.Spans makes them, and returns its errors. Limit does not count.
	Totals(ctx context.Context, q Query, step time.Duration) ([]Total, error)
	// Prune removes what is not to be kept and reports how many entries that were.
	Prune(ctx context.Context, r Retention) (int, error)
	// Remove removes all entries of a route or, if of has no Name, of all routes with exactly that Tenant: AnyTenant
	// stands for the routes of the whole platform, not for everybody's. It reports how many entries that were. What a
	// Recorder has not stored yet comes afterwards; Recorder.Remove removes that too.
	Remove(ctx context.Context, of dispatcher.RouteID) (int, error)
}

// Query selects entries; fields combine with "and". Apart from Tenant, a field's zero value selects all.
type Query struct {
	// Tenant is who asks. It selects by the route's tenant, as a Route does by the event's: "" = routes without a
	// tenant, a tenant's id, or dispatcher.AnyTenant = everything, the routes of the whole platform included, on
	// purpose. So a query that forgets it shows nobody else's entries, whatever its other fields say, Before included.
	// What a route of AnyTenant did with a tenant's event is the platform's: the tenant does not see it.
	Tenant   string
	Route    dispatcher.RouteID
	EventID  string
	Subject  string               // of the event
	Type     event.Type           // of the event: the trigger
	Outcomes []dispatcher.Outcome // one of these
	Status   int
	Since    time.Time // Time at or after
	Until    time.Time // Time before
	Seq      int64     // this entry only
	// Before is the cursor for paging: entries with a Seq below it. The next page is before the last entry of this one.
	// Seqs count the entries of all tenants, so a cursor, as an entry's Seq, says how many there were in all, and
	// nothing else.
	Before int64
	Limit  int // 0 = 100; at most 1,000
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Max is the most entries that the query returns.
func (q Query) Max() int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return min(q.Limit, maxLimit)
}

// EveryTenant reports whether q selects entries whatever their tenant.
func (q Query) EveryTenant() bool { return q.Tenant == dispatcher.AnyTenant }

// Match reports whether e is selected, apart from Limit.
func (q Query) Match(e Entry) bool {
	return (q.EveryTenant() || q.Tenant == e.Route.Tenant) &&
		(q.Route == dispatcher.RouteID{} || q.Route == e.Route) &&
		(q.EventID == "" || q.EventID == e.Event.ID()) &&
		(q.Subject == "" || q.Subject == e.Event.Subject()) &&
		(q.Type == "" || q.Type == e.Event.Type()) &&
		(len(q.Outcomes) == 0 || slices.Contains(q.Outcomes, e.Outcome)) &&
		(q.Status == 0 || q.Status == e.Status) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) &&
		(q.Until.IsZero() || e.Time.Before(q.Until)) &&
		(q.Seq == 0 || q.Seq == e.Seq) &&
		(q.Before == 0 || e.Seq < q.Before)
}
