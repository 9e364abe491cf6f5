package dispatcher

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// DeadLetter is a dead delivery that is kept.
type DeadLetter struct {
	ID  string `json:"id"`  // identifies it, for DeadLetterFilter
	Seq int64  `json:"seq"` // increases with each dead letter; the cursor for DeadLetterFilter.After
	// Delivery is the last attempt; its Attempt is 0 if there was none. The route may be a removed one. For a scheduled
	// event it has the name ScheduleLane.
	Delivery   channel.Delivery `json:"delivery"`
	Enqueued   time.Time        `json:"enqueued"`             // when its event was dispatched
	FirstTried time.Time        `json:"first_tried,omitzero"` // when the first attempt began; zero = there was none
	At         time.Time        `json:"at"`                   // when it became dead
	Reason     string           `json:"reason"`               // why, in words
}

// DeadLetterFilter selects dead letters. They are of the Tenants or the Routes, and all that the other fields say. The
// zero value selects all, whichever tenant's. Those of scheduled events are under no tenant: ScheduleLane as a route
// without a tenant names them, whichever tenant's. Apart from that, what a lane holds of another tenant than its
// route's is selected by the zero value only.
type DeadLetterFilter struct {
	Tenants []string  // of all their routes, removed ones too; "" = those without a tenant, AnyTenant = the platform's
	Routes  []RouteID // of these, which may be removed ones; one without a name is none
	IDs     []string  // nil = any
	Since   time.Time // dead at or after this time; zero = any time
	After   int64     // Seq greater than this, for paging
	Limit   int       // the earliest so many; 0 = no limit
}

// deadSelection is a part of what a DeadLetterFilter selects.
type deadSelection struct {
	queue.Selection

	tenant string // whose events it selects, other than AnyTenant's
}

// owns reports whether a dead letter of its lanes is of its tenant.
func (s *deadSelection) owns(l queue.DeadLetter) bool {
	return s.tenant == AnyTenant || l.Event.Tenant() == s.tenant
}

// selections are what the filter selects, as the queue knows it: by lane.
func (e *Engine) selections(ctx context.Context, f DeadLetterFilter) ([]deadSelection, error) {
	all := queue.Selection{IDs: f.IDs, Since: f.Since, After: f.After, Limit: f.Limit}
	if f.Tenants == nil && f.Routes == nil {
		return []deadSelection{{all, AnyTenant}}, nil
	}
	var some []deadSelection
	routes := slices.Clone(f.Routes)
	for _, tenant := range unique(f.Tenants) {
		if tenant != "" {
			s := all
			s.LanePrefix = RouteID{Tenant: tenant}.String()
			some = append(some, deadSelection{s, tenant})
			continue
		}
		known, err := e.queue.Lanes(ctx) // their names have nothing in common
		if err != nil {
			return nil, err
		}
		for _, name := range known {
			if id := channel.ParseRouteID(name); id.Tenant == "" && !strings.HasPrefix(name, reservedPrefix) {
				routes = append(routes, id)
			}
		}
	}
	for _, id := range unique(routes) {
		if id.Name == "" { // the zero RouteID as text is that of every lane
			continue
		}
		s := deadSelection{all, id.Tenant}
		s.Lane = id.String()
		if s.Lane == ScheduleLane {
			s.tenant = AnyTenant
		}
		if id.Tenant == "" || !slices.Contains(f.Tenants, id.Tenant) {
			some = append(some, s)
		}
	}
	return some, nil
}

// unique returns the values, each once, in the order in which they come.
func unique[T comparable](values []T) (once []T) {
	seen := map[T]bool{}
	for _, v := range values {
		if !seen[v] {
			seen[v], once = true, append(once, v)
		}
	}
	return once
}

// DeadLetters lists dead deliveries, the earliest first. How many are kept is said by Route.DeadLetters and the queue.
// errors.ErrUnsupported if the queue cannot be inspected; likewise for the other methods about dead letters, and Purge.
func (e *Engine) DeadLetters(ctx context.Context, f DeadLetterFilter) ([]DeadLetter, error) {
	selections, err := e.selections(ctx, f)
	if err != nil {
		return nil, err
	}
	var all []DeadLetter
	for _, s := range selections {
		n := 0
		err := e.eachDead(ctx, s, func(l queue.DeadLetter) bool {
			if s.owns(l) {
				all = append(all, deadLetterOf(l))
				n++
			}
			return s.Limit <= 0 || n < s.Limit
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	if f.Limit > 0 && len(all) > f.Limit {
		all = slices.Clip(all[:f.Limit])
	}
	return all, nil
}

// eachDead yields the dead letters of a selection, those of other tenants too, and beyond its Limit: in pages of that.
func (e *Engine) eachDead(ctx context.Context, s deadSelection, yield func(queue.DeadLetter) bool) error {
	for {
		page, err := e.queue.DeadLetters(ctx, s.Selection)
		if err != nil {
			return err
		}
		for _, l := range page {
			s.After = l.Seq
			if !yield(l) {
				return nil
			}
		}
		if s.Limit <= 0 || len(page) < s.Limit {
			return nil
		}
	}
}

func deadLetterOf(l queue.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: l.ID(), Seq: l.Seq, At: l.At, Enqueued: l.Enqueued, FirstTried: l.FirstTried, Reason: l.Reason,
		Delivery: channel.Delivery{Event: l.Event, Route: channel.ParseRouteID(l.Lane), Attempt: l.Attempt, Generation: l.Generation},
	}
}

// RedeliverDead queues the selected dead letters again, as Redeliver does, and reports how many.
func (e *Engine) RedeliverDead(ctx context.Context, f DeadLetterFilter) (int, error) {
	if !e.calls.enter() {
		return 0, ErrShutdown
	}
	defer e.calls.leave()
	generation := e.nextGeneration()
	return e.eachSelection(ctx, f, func(s queue.Selection) (int, error) { return e.queue.Requeue(ctx, s, generation) })
}

// DiscardDead removes the selected dead letters for good and reports how many.
func (e *Engine) DiscardDead(ctx context.Context, f DeadLetterFilter) (int, error) {
	return e.eachSelection(ctx, f, func(s queue.Selection) (int, error) { return e.queue.Discard(ctx, s) })
}

// eachSelection calls do for each selection of the filter, and reports what it did in all.
func (e *Engine) eachSelection(ctx context.Context, f DeadLetterFilter, do func(queue.Selection) (int, error)) (done int, err error) {
	selections, err := e.selections(ctx, f)
	if err == nil && f.Limit > 0 && len(selections) > 1 {
		selections, err = e.earliest(ctx, f)
	}
	for i := 0; err == nil && i < len(selections); i++ {
		var own queue.Selection
		if own, err = e.own(ctx, selections[i]); err == nil {
			var n int
			n, err = do(own)
			done += n
		}
	}
	return done, err
}

// own narrows a selection to the dead letters of its tenant: by their ids, if its lanes hold others.
func (e *Engine) own(ctx context.Context, s deadSelection) (queue.Selection, error) {
	if s.tenant == AnyTenant {
		return s.Selection, nil
	}
	ids, others := []string{}, false
	err := e.eachDead(ctx, s, func(l queue.DeadLetter) bool {
		if s.owns(l) {
			ids = append(ids, l.ID())
		} else {
			others = true
		}
		return s.Limit <= 0 || len(ids) < s.Limit
	})
	if others {
		s.IDs = ids
	}
	return s.Selection, err
}

// earliest selects the first dead letters of several lanes, by their ids.
func (e *Engine) earliest(ctx context.Context, f DeadLetterFilter) ([]deadSelection, error) {
	letters, err := e.DeadLetters(ctx, f)
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	return []deadSelection{{queue.Selection{IDs: ids}, AnyTenant}}, err
}
