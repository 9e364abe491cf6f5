package history

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// Memory is a Store in this process. What it holds is lost with it. A query looks at the entries of its route, or of
// its tenant, or at all, from the newest on, until it has enough.
type Memory struct {
	mu      sync.Mutex
	limit   int
	entries *book
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that keeps so many entries; 0 or less = 10,000. With one more the tenant that has
// the most loses its oldest.
func NewMemory(entries int) *Memory {
	if entries <= 0 {
		entries = 10_000
	}
	return &Memory{limit: entries, entries: newBook()}
}

// Append implements Store.
func (m *Memory) Append(ctx context.Context, entries ...Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		m.entries.add(e)
		m.entries.limit(m.limit)
	}
	return nil
}

// Query implements Store.
func (m *Memory) Query(ctx context.Context, q Query) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Entry
	for n := range m.entries.selected(q) {
		if found = append(found, n.Entry); len(found) == q.Max() {
			break
		}
	}
	return found, nil
}

// Totals implements Store.
func (m *Memory) Totals(ctx context.Context, q Query, step time.Duration) ([]Total, error) {
	totals, err := q.Spans(step)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.entries.selected(q) {
		totals[n.Time.Sub(q.Since)/step].Add(string(n.Outcome), 1)
	}
	return totals, nil
}

// Prune implements Store.
func (m *Memory) Prune(ctx context.Context, r Retention) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !r.Before.IsZero() {
		for old := range m.entries.all.each {
			if old.Time.Before(r.Before) {
				m.entries.remove(old)
				n++
			}
		}
	}
	if r.TenantEntries > 0 {
		n += m.entries.limitTenants(r.TenantEntries)
	}
	if r.TenantBytes > 0 {
		n += m.entries.limitBytes(r.TenantBytes)
	}
	if r.Entries > 0 {
		n += m.entries.limit(r.Entries)
	}
	return n, nil
}

// Remove implements Store.
func (m *Memory) Remove(ctx context.Context, of dispatcher.RouteID) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries.removeAll(of), nil
}
