package manage

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/internal/watch"
)

// Memory stores documents in memory, for tests and for hosts that load them at each start. It is for one process.
type Memory struct {
	hub watch.Hub[Change]

	mu      sync.RWMutex
	records map[string]Record // the content of a deleted one is nil
	tenants []string          // who has a document, sorted
}

var _ Documents = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{records: map[string]Record{}} }

// Close closes the channels of Watch and waits for their goroutines. Calls after it are ErrClosed.
func (m *Memory) Close() error {
	m.hub.Close()
	return nil
}

// validate checks a call.
func (m *Memory) validate(ctx context.Context, tenant string) error {
	if err := ValidateCall(ctx, tenant); err != nil {
		return err
	}
	if m.hub.Closed() {
		return ErrClosed
	}
	return nil
}

// Get implements Documents.
func (m *Memory) Get(ctx context.Context, tenant string) (Record, error) {
	if err := m.validate(ctx, tenant); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := m.records[tenant]
	if r.Content == nil {
		return Record{}, ErrNotFound
	}
	r.Content = bytes.Clone(r.Content)
	return r, nil
}

// List implements Documents.
func (m *Memory) List(ctx context.Context, after string, limit int) ([]Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.hub.Closed() {
		return nil, ErrClosed
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	first, found := slices.BinarySearch(m.tenants, after)
	if found {
		first++
	}
	page := m.tenants[first:min(len(m.tenants), first+max(limit, 1))]
	heads := make([]Head, len(page))
	for i, tenant := range page {
		heads[i] = Head{Tenant: tenant, Revision: m.records[tenant].Revision}
	}
	return heads, nil
}

// Put implements Documents.
func (m *Memory) Put(ctx context.Context, tenant string, r Record, expect Revision) (Revision, error) {
	if err := m.validate(ctx, tenant); err != nil {
		return 0, err
	}
	if len(r.Content) > MaxContent {
		return 0, &SizeError{Tenant: tenant, Size: len(r.Content), Max: MaxContent}
	}
	return m.replace(tenant, append([]byte{}, r.Content...), expect)
}

// Delete implements Documents.
func (m *Memory) Delete(ctx context.Context, tenant string, expect Revision) (Revision, error) {
	if err := m.validate(ctx, tenant); err != nil {
		return 0, err
	}
	return m.replace(tenant, nil, expect)
}

// replace stores a content, which is nil for a removal.
func (m *Memory) replace(tenant string, content []byte, expect Revision) (Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := m.records[tenant]
	current := stored.Revision
	if stored.Content == nil {
		current = 0
	}
	if current != expect || current == 0 && content == nil {
		return 0, &ConflictError{Tenant: tenant, Expected: expect, Current: current}
	}
	next := Record{Revision: stored.Revision + 1, Content: content}
	m.records[tenant] = next
	place, listed := slices.BinarySearch(m.tenants, tenant)
	switch {
	case content == nil:
		m.tenants = slices.Delete(m.tenants, place, place+1)
	case !listed:
		m.tenants = slices.Insert(m.tenants, place, tenant)
	}
	m.hub.Publish(tenant, uint64(next.Revision), Change{Head: Head{Tenant: tenant, Revision: next.Revision}})
	return next.Revision, nil
}

// Watch implements Documents.
func (m *Memory) Watch(ctx context.Context) (<-chan Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	changes, ok := m.hub.Subscribe(ctx)
	if !ok {
		return nil, ErrClosed
	}
	return changes, nil
}
