package history

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Store in this process. What it holds is lost with it. A query looks at every entry from the newest on.
type Memory struct {
	mu      sync.Mutex
	limit   int
	seq     int64
	entries []Entry // by Seq; the oldest first
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that keeps the newest entries, this many; 0 or less = 10,000.
func NewMemory(entries int) *Memory {
	if entries <= 0 {
		entries = 10_000
	}
	return &Memory{limit: entries}
}

// Append implements Store.
func (m *Memory) Append(ctx context.Context, entries ...Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		m.seq++
		e.Seq = m.seq
		m.entries = append(m.entries, e)
	}
	m.keep(m.limit)
	return nil
}

// keep removes the oldest, down to n.
func (m *Memory) keep(n int) {
	surplus := max(len(m.entries)-n, 0)
	clear(m.entries[:surplus])
	m.entries = m.entries[surplus:]
}

// Query implements Store.
func (m *Memory) Query(ctx context.Context, q Query) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Entry
	for _, e := range slices.Backward(m.entries) {
		if !q.Match(e) {
			continue
		}
		if found = append(found, e); len(found) == q.Max() {
			break
		}
	}
	return found, nil
}

// Prune implements Store.
func (m *Memory) Prune(ctx context.Context, before time.Time, keep int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.entries)
	if !before.IsZero() {
		m.entries = slices.DeleteFunc(m.entries, func(e Entry) bool { return e.Time.Before(before) })
	}
	if keep > 0 {
		m.keep(keep)
	}
	return n - len(m.entries), nil
}
