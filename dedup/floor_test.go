package dedup

import (
	"hash/maphash"
	"sync"
	"time"
)

// floor is the least that can do Memory's work, for BenchmarkMemory to be compared with: 64 shards, each a Go map keyed
// by a 128-bit hash and a ring of expiries, allocated beforehand. It hashes the same keys in the same way, reads the
// same clock under its locks and drops the oldest when full, but it keeps neither owner nor lease, one window serves
// all keys, and nothing is ever refused.
type floor struct {
	start  time.Time
	seeds  [2]maphash.Seed
	shards [64]*floorShard
}

type floorShard struct {
	mu   sync.Mutex
	ends map[hash]instant
	ring []expiry
	head int
	n    int
}

func newFloor(bound int) *floor {
	f := &floor{start: time.Now(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range f.shards {
		f.shards[i] = &floorShard{ends: map[hash]instant{}, ring: make([]expiry, bound/len(f.shards))}
	}
	return f
}

func (f *floor) locate(key string) (hash, *floorShard) {
	h := hash{maphash.String(f.seeds[0], key), maphash.String(f.seeds[1], key)}
	return h, f.shards[h[0]%uint64(len(f.shards))]
}

func (f *floor) now() instant { return instant(time.Since(f.start)) }

// begin is the first of two phases. It reports whether the key is new, and takes it for d.
func (f *floor) begin(key string, d time.Duration) bool {
	h, s := f.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := f.now()
	s.expire(now)
	if end, ok := s.ends[h]; ok && now < end {
		return false
	}
	s.ends[h] = now + instant(d)
	return true
}

// end is the second of two phases: the key is done for d.
func (f *floor) end(key string, d time.Duration) {
	h, s := f.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(h, f.now()+instant(d))
}

// mark is both in one: not what a Store does, since it loses the message whose first attempt fails.
func (f *floor) mark(key string, d time.Duration) bool {
	h, s := f.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := f.now()
	s.expire(now)
	if end, ok := s.ends[h]; ok && now < end {
		return false
	}
	s.keep(h, now+instant(d))
	return true
}

func (s *floorShard) expire(now instant) {
	if s.n > 0 && s.ring[s.head].end <= now {
		s.drop()
	}
}

func (s *floorShard) drop() {
	delete(s.ends, s.ring[s.head].key)
	s.head = (s.head + 1) % len(s.ring)
	s.n--
}

func (s *floorShard) keep(h hash, end instant) {
	if s.n == len(s.ring) {
		s.drop()
	}
	s.ends[h] = end
	s.ring[(s.head+s.n)%len(s.ring)] = expiry{h, end}
	s.n++
}
