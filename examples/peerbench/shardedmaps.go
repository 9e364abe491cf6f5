package main

import (
	"hash/maphash"
	"sync"
	"time"
)

// shardedMaps is the floor of memories that ask and commit: 64 maps of 128-bit hashes, each with a lock and a queue of
// what expires, and nothing else: no owner, no lease, no bound.
func shardedMaps() memoryMaker {
	return memoryMaker{
		name:   "64 maps of 128-bit hashes, in two steps (floor)",
		traits: memoryTraits{"yes", "the key is free again, by hand", "none"},
		open: func(int) memory {
			f := &floorMaps{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, began: time.Now()}
			for i := range f.shards {
				f.shards[i].until = map[[2]uint64]time.Duration{}
			}
			return memory{
				isNew: func(key string) bool {
					isNew := f.claim(key)
					if isNew {
						f.commit(key)
					}
					return isNew
				},
				close: func() {},
			}
		},
	}
}

type floorMaps struct {
	seeds  [2]maphash.Seed
	began  time.Time
	shards [64]floorShard
}

type floorShard struct {
	mu      sync.Mutex
	until   map[[2]uint64]time.Duration
	expires []expiry // the first to expire first
}

type expiry struct {
	key [2]uint64
	at  time.Duration
}

func (f *floorMaps) shard(key string) ([2]uint64, *floorShard) {
	h := [2]uint64{maphash.String(f.seeds[0], key), maphash.String(f.seeds[1], key)}
	return h, &f.shards[h[0]%uint64(len(f.shards))]
}

func (f *floorMaps) claim(key string) bool {
	h, s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(f.began)
	for len(s.expires) > 0 && s.expires[0].at <= now {
		delete(s.until, s.expires[0].key)
		s.expires = s.expires[1:]
	}
	if until, known := s.until[h]; known && now < until {
		return false
	}
	s.until[h] = now + time.Minute
	return true
}

func (f *floorMaps) commit(key string) {
	h, s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Since(f.began) + window
	s.until[h] = until
	s.expires = append(s.expires, expiry{h, until})
}
