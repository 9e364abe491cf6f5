// Package recent keeps the latest entries of a process, bounded in number and age.
package recent

import (
	"container/list"
	"sync"
	"time"
)

// Map holds at most a number of entries, each for a time after it was put last. When it is full, the one that was put
// longest ago goes. It has no goroutine. Make it with New; it is safe for concurrent use.
type Map[K comparable, V any] struct {
	max     int
	ttl     time.Duration
	mu      sync.Mutex
	byKey   map[K]*list.Element
	entries *list.List // of entry[K, V], the one put longest ago first
}

type entry[K comparable, V any] struct {
	key   K
	value V
	ends  time.Time
}

// New makes an empty Map. limit and ttl are positive.
func New[K comparable, V any](limit int, ttl time.Duration) *Map[K, V] {
	return &Map[K, V]{max: limit, ttl: ttl, byKey: map[K]*list.Element{}, entries: list.New()}
}

// Get returns the value that was put last.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeExpired(time.Now())
	at, ok := m.byKey[k]
	if !ok {
		return v, false
	}
	return at.Value.(entry[K, V]).value, true
}

// Put keeps v in place of what was there.
func (m *Map[K, V]) Put(k K, v V) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.byKey[k]; ok {
		m.entries.Remove(at)
	}
	m.byKey[k] = m.entries.PushBack(entry[K, V]{k, v, now.Add(m.ttl)})
	m.removeExpired(now)
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeExpired(time.Now())
	return m.entries.Len()
}

// removeExpired removes what has ended and what is too much, from the front: entries end in the order in which they
// were put.
func (m *Map[K, V]) removeExpired(now time.Time) {
	for {
		first := m.entries.Front()
		if first == nil {
			return
		}
		e := first.Value.(entry[K, V])
		if now.Before(e.ends) && m.entries.Len() <= m.max {
			return
		}
		m.entries.Remove(first)
		delete(m.byKey, e.key)
	}
}
