package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	"github.com/patrickmn/go-cache"

	"github.com/tocsin-go/tocsin/dedup"
)

const (
	checkers  = 8         // goroutines that ask
	recent    = 25_000    // a repeat is of one of a goroutine's last so many keys
	window    = time.Hour // how long a repeat is one: longer than a round
	keyLength = 48        // characters
)

// memory is a library's way to find repeats.
type memory struct {
	isNew func(key string) bool
	close func()
}

// memoryMaker opens one for as many keys as there will be.
type memoryMaker struct {
	name   string
	traits []string
	open   func(keys int) memory
}

// duplicates is the contest of finding repeats.
func duplicates(checks int) contest {
	c := contest{
		name:  "dedup",
		title: "Dedup",
		work: fmt.Sprintf("Is this key new within the last hour? Asked by %d goroutines, every tenth time about a recent one; from empty "+
			"to %s live keys. Tocsin and the first row claim before the work and commit after it, the others only mark. The bytes are "+
			"without the %d of the key's text, which the first row and Tocsin do not keep.",
			checkers, figure(float64(checks)*0.9), keyLength),
		unit: "check", amount: checks,
		metrics: []string{heldPerKey, repeatsMissed, "mistaken"},
		traits:  []string{"asks and marks in one", "when the first attempt fails", "bound"},
	}
	for _, m := range []memoryMaker{
		shardedMaps(), tocsinMemory(), goCache(), otterCache(), ttlCache(), expirableLRU(),
	} {
		c.entrants = append(c.entrants, entrant{name: m.name, traits: m.traits, open: func(units int) (worker, error) {
			return openDuplicates(m, units), nil
		}})
	}
	return c
}

func openDuplicates(m memoryMaker, checks int) worker {
	each := checks / checkers
	keys := newKeys(checkers * each)
	before := held()
	memory := m.open(checkers * each)
	var missed, mistaken atomic.Int64
	return worker{
		do: func(int) error {
			var all sync.WaitGroup
			for g := range checkers {
				all.Go(func() {
					for i := range each {
						key, repeat := keys.pick(g*each, i)
						switch isNew := memory.isNew(key); {
						case isNew && repeat:
							missed.Add(1)
						case !isNew && !repeat:
							mistaken.Add(1)
						}
					}
				})
			}
			all.Wait()
			return nil
		},
		figures: func() []float64 {
			size := float64(held()-before) / (float64(checkers*each) * 0.9)
			runtime.KeepAlive(keys)
			return []float64{size, float64(missed.Load()), float64(mistaken.Load())}
		},
		close: func() error { memory.close(); return nil },
	}
}

// keys are one after the other in one string, so that they add nothing for the garbage collector to follow.
type keys string

func newKeys(n int) keys {
	text := make([]byte, 0, n*keyLength)
	var raw [keyLength / 2]byte
	for i := range n {
		binary.BigEndian.PutUint64(raw[len(raw)-8:], uint64(i))
		text = hex.AppendEncode(text, raw[:])
	}
	return keys(text)
}

// pick returns the i-th key that a goroutine asks about, whose keys begin at first, and whether it is a repeat.
func (k keys) pick(first, i int) (key string, repeat bool) {
	n := i - i/10 // new keys before this one
	if repeat = i%10 == 9; repeat {
		n -= 1 + int(uint32(i)*2654435761>>8)%min(n, recent)
	}
	at := (first + n) * keyLength
	return string(k[at : at+keyLength]), repeat
}

// tocsinMemory is package dedup's Memory, with a claim and a commit for each new key.
func tocsinMemory() memoryMaker {
	return memoryMaker{
		name:   nameDedup,
		traits: []string{"yes", "the claim is released: the retry goes through", "keys; those in flight are never pushed out"},
		open: func(keys int) memory {
			m := dedup.NewMemory(dedup.MemoryOptions{MaxKeys: keys + keys/8})
			ctx := context.Background()
			return memory{
				isNew: func(key string) bool {
					claim, err := m.Claim(ctx, key, time.Minute)
					if err != nil || claim.State != dedup.Acquired {
						return false
					}
					return m.Commit(ctx, key, claim.Token, window) == nil
				},
				close: func() {},
			}
		},
	}
}

// shardedMaps is the floor of memories that ask and commit: 64 maps of 128-bit hashes, each with a lock and a queue of
// what expires, and nothing else: no owner, no lease, no bound.
func shardedMaps() memoryMaker {
	return memoryMaker{
		name:   "64 maps of hashes, two steps (floor)",
		traits: []string{"yes", "the key is free again, by hand", "none"},
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

// goCache is patrickmn/go-cache, which looks for expired keys every ten minutes, as its documentation does.
func goCache() memoryMaker {
	return memoryMaker{
		name:   "patrickmn/go-cache",
		traits: []string{"yes (Add)", "marked: the retry is lost, unless deleted by hand", "none"},
		open: func(int) memory {
			c := cache.New(window, 10*time.Minute)
			return memory{
				isNew: func(key string) bool { return c.Add(key, struct{}{}, cache.DefaultExpiration) == nil },
				close: func() {},
			}
		},
	}
}

// otterCache is otter with a bound and an expiry that begins with the write.
func otterCache() memoryMaker {
	return memoryMaker{
		name:   "maypok86/otter",
		traits: []string{"yes (SetIfAbsent)", "marked: the retry is lost, unless deleted by hand", "entries; any may be pushed out"},
		open: func(keys int) memory {
			c := otter.Must(&otter.Options[string, struct{}]{
				MaximumSize: keys + keys/8, ExpiryCalculator: otter.ExpiryWriting[string, struct{}](window),
			})
			return memory{
				isNew: func(key string) bool {
					_, set := c.SetIfAbsent(key, struct{}{})
					return set
				},
				close: func() { c.StopAllGoroutines() },
			}
		},
	}
}

// ttlCache is jellydator/ttlcache; reading does not prolong, and its own goroutine removes what has expired.
func ttlCache() memoryMaker {
	return memoryMaker{
		name:   "jellydator/ttlcache",
		traits: []string{"yes (GetOrSet)", "marked: the retry is lost, unless deleted by hand", "entries, the least recently used go"},
		open: func(keys int) memory {
			c := ttlcache.New(
				ttlcache.WithTTL[string, struct{}](window), ttlcache.WithDisableTouchOnHit[string, struct{}](),
				ttlcache.WithCapacity[string, struct{}](uint64(keys+keys/8)),
			)
			go c.Start()
			return memory{
				isNew: func(key string) bool {
					_, known := c.GetOrSet(key, struct{}{})
					return !known
				},
				close: c.Stop,
			}
		},
	}
}

// expirableLRU is hashicorp/golang-lru's expirable LRU. It cannot ask and mark in one.
func expirableLRU() memoryMaker {
	return memoryMaker{
		name: "hashicorp/golang-lru, expirable",
		traits: []string{
			"no: two callers can both be first", "marked: the retry is lost, unless deleted by hand", "entries, the least recently used go",
		},
		open: func(keys int) memory {
			c := expirable.NewLRU[string, struct{}](keys+keys/8, nil, window)
			return memory{
				isNew: func(key string) bool {
					if c.Contains(key) {
						return false
					}
					c.Add(key, struct{}{})
					return true
				},
				close: func() { c.Purge() },
			}
		},
	}
}
