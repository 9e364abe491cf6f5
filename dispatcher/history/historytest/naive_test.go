package historytest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// defect is one way in which a store can be wrong.
type defect string

// naive is the plainest correct store, which the suite must accept, and with a defect a wrong one, which it must
// reject.
type naive struct {
	defect  defect
	mu      sync.Mutex
	seq     int64
	entries []history.Entry
}

func (n *naive) is(d defect) bool { return n.defect == d }

func (n *naive) Append(ctx context.Context, entries ...history.Entry) error {
	if ctx.Err() != nil && !n.is("Append ignores ctx") {
		return ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.is("keeps the caller's slice") && len(n.entries) == 0 {
		n.entries = entries
		for i := range entries {
			n.seq++
			entries[i].Seq = n.seq
		}
		return nil
	}
	for _, e := range entries {
		if n.is("mixes concurrent calls") {
			n.mu.Unlock()
			<-time.After(time.Microsecond)
			n.mu.Lock()
		}
		n.seq++
		if !n.is("keeps the given Seq") || e.Seq == 0 {
			e.Seq = n.seq
		}
		n.entries = append(n.entries, n.spoil(e))
	}
	return nil
}

// spoil alters an entry as a careless store does.
func (n *naive) spoil(e history.Entry) history.Entry {
	switch n.defect {
	case "milliseconds":
		e.Time = e.Time.Truncate(time.Millisecond)
	case "loses Request":
		e.Request = nil
	case "loses Reason":
		e.Reason = ""
	case "loses Generation":
		e.Generation = int64(float64(e.Generation))
	case "cuts text at NUL":
		e.Error, _, _ = strings.Cut(e.Error, "\x00")
	case "encodes the event with encoding/json":
		text, _ := json.Marshal(struct{ E event.Event }{e.Event})
		var again struct{ E event.Event }
		_ = json.Unmarshal(text, &again)
		e.Event = again.E
	case "encodes the event anew":
		e.Event = event.Must(fact{"x"}, event.Meta{ID: e.Event.ID(), Subject: e.Event.Subject()})
	case "no nil messages":
		if e.Response == nil {
			e.Response = e.Request
		}
	}
	return e
}

func (n *naive) Query(ctx context.Context, q history.Query) ([]history.Entry, error) {
	if ctx.Err() != nil && !n.is("Query ignores ctx") {
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	limit := q.Max()
	switch n.defect {
	case "no limit":
		limit = 1 << 30
	case "Limit 0 is none":
		limit = q.Limit
	case "no tenant is every tenant":
		if q.Tenant == "" {
			q.Tenant = dispatcher.AnyTenant
		}
	case "ignores Route":
		q.Route = dispatcher.RouteID{}
	case "ignores Subject":
		q.Subject = ""
	case "ignores EventID":
		q.EventID = ""
	case "ignores Type":
		q.Type = ""
	case "ignores Status":
		q.Status = 0
	case "first outcome only":
		q.Outcomes = q.Outcomes[:min(len(q.Outcomes), 1)]
	case "Since excludes":
		if !q.Since.IsZero() {
			q.Since = q.Since.Add(1)
		}
	case "Until includes":
		if !q.Until.IsZero() {
			q.Until = q.Until.Add(1)
		}
	case "Before includes":
		if q.Before > 0 {
			q.Before++
		}
	case "ignores Seq":
		q.Seq = 0
	}
	var found []history.Entry
	for i := range n.entries {
		e := n.entries[len(n.entries)-1-i]
		if n.is("oldest first") {
			e = n.entries[i]
		}
		if n.is("the event's tenant") {
			e.Route.Tenant = e.Event.Tenant()
		}
		match := q.Match(e)
		if r := q.Route; r.Name != "" && (n.is("routes by prefix") || n.is("routes by name") || n.is("a route is enough")) {
			q.Route = dispatcher.RouteID{}
			match = q.Match(e) && (e.Route == r || n.is("routes by prefix") && strings.HasPrefix(e.Route.Name, r.Name) ||
				n.is("routes by name") && e.Route.Name == r.Name)
			match = match || n.is("a route is enough") && e.Route == r
			q.Route = r
		}
		if match && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

// reopened is what a store is when it is opened again.
func (n *naive) reopened() history.Store {
	again := &naive{defect: n.defect, seq: n.seq, entries: n.entries}
	switch n.defect {
	case "is empty again":
		again.entries = nil
	case "begins Seqs anew":
		again.seq = 0
	}
	return again
}
