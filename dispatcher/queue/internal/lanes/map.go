package lanes

import (
	"maps"
	"slices"
)

// Map is a map that gives its memory back: what a lane holds comes and goes, and so do lanes, but a Go map never
// shrinks. The zero value is empty.
type Map[K comparable, V any] struct {
	all  map[K]V
	most int // keys since all was made
}

// smallMap is how many keys a Map may have room for whatever it holds.
const smallMap = 8

// Get returns the value of a key, or the zero value.
func (m *Map[K, V]) Get(key K) V { return m.all[key] }

// Set sets the value of a key.
func (m *Map[K, V]) Set(key K, v V) {
	if m.all == nil {
		m.all = map[K]V{}
	}
	m.all[key] = v
	m.most = max(m.most, len(m.all))
}

// Keys lists the keys, in no order.
func (m *Map[K, V]) Keys() []K { return slices.Collect(maps.Keys(m.all)) }

// Remove removes a key, if it is there.
func (m *Map[K, V]) Remove(key K) {
	delete(m.all, key)
	if m.most <= smallMap || len(m.all) > m.most/8 { // less than a window shrinks to before it is filled again
		return
	}
	all := make(map[K]V, len(m.all))
	for key, v := range m.all {
		all[key] = v
	}
	m.all, m.most = all, len(all)
}
