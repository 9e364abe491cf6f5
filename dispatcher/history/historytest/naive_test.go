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
		q.Route = ""
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
		if n.is("routes by prefix") && q.Route != "" {
			r := q.Route
			q.Route = ""
			match = q.Match(e) && strings.HasPrefix(e.Route.Name, r)
			q.Route = r
		}
		if match && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

func (n *naive) Prune(ctx context.Context, before time.Time, keep int) (int, error) {
	if ctx.Err() != nil && !n.is("Prune ignores ctx") {
		return 0, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.is("Prune does nothing") {
		return 0, nil
	}
	old := n.entries
	n.entries = nil
	for i, e := range old {
		if !e.Time.Before(before) || n.is("stops at the first young one") && i > 0 && len(n.entries) > 0 {
			n.entries = append(n.entries, e)
		}
	}
	if n.is("removes what is just old enough") {
		n.entries = nil
		for _, e := range old {
			if e.Time.After(before) {
				n.entries = append(n.entries, e)
			}
		}
	}
	if keep > 0 && len(n.entries) > keep && !n.is("keeps any number") {
		if n.is("keeps the oldest") {
			n.entries = n.entries[:keep]
		} else {
			n.entries = n.entries[len(n.entries)-keep:]
		}
	}
	if n.is("counts Seq anew") && len(n.entries) == 0 {
		n.seq = 0
	}
	if n.is("miscounts") {
		return len(n.entries), nil
	}
	return len(old) - len(n.entries), nil
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
