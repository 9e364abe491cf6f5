package slack

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	defaultMax = 10_000
	defaultTTL = 30 * 24 * time.Hour
)

// MemoryOptions configure a Memory. The zero value is useful.
type MemoryOptions struct {
	Max int           // references held, about 300 bytes each; 0 or less = 10,000
	TTL time.Duration // how long after the last news one is kept; 0 or less = 30 days
}

// Memory is References within one process: after a restart the next event about each subject is a message of its own.
// When it is full, the one that had no news for the longest time is forgotten. It has no goroutine and needs no closing.
// Make one with NewMemory; a Key holds all that tells channels apart, so any number of them may share it.
type Memory struct {
	max     int
	ttl     time.Duration
	mu      sync.Mutex
	byKey   map[Key]*list.Element
	entries *list.List // of memoryEntry, the one without news for the longest time first
}

type memoryEntry struct {
	key  Key
	ref  Reference
	ends time.Time
}

var _ References = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Max <= 0 {
		o.Max = defaultMax
	}
	if o.TTL <= 0 {
		o.TTL = defaultTTL
	}
	return &Memory{max: o.Max, ttl: o.TTL, byKey: map[Key]*list.Element{}, entries: list.New()}
}

// Get implements References. It never fails.
func (m *Memory) Get(_ context.Context, k Key) (Reference, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	at, ok := m.byKey[k]
	if !ok {
		return Reference{}, false, nil
	}
	return at.Value.(memoryEntry).ref, true, nil
}

// Put implements References. It never fails.
func (m *Memory) Put(_ context.Context, k Key, r Reference) error {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.byKey[k]; ok {
		m.entries.Remove(at)
	}
	m.byKey[k] = m.entries.PushBack(memoryEntry{k, r, now.Add(m.ttl)})
	m.forget(now)
	return nil
}

// forget drops what has ended and what is too much, from the front: entries end in the order in which they were put.
func (m *Memory) forget(now time.Time) {
	for {
		first := m.entries.Front()
		if first == nil {
			return
		}
		e := first.Value.(memoryEntry)
		if now.Before(e.ends) && m.entries.Len() <= m.max {
			return
		}
		m.entries.Remove(first)
		delete(m.byKey, e.key)
	}
}
