package dedup

import (
	"strconv"
	"sync"
	"time"
)

// sweepPerClaim expired keys are removed by each claim. A check adds one key, so two outrun what comes in.
const sweepPerClaim = 2

// hash stands for a key.
type hash [2]uint64

// shard is one lock's share of a Memory. Its methods need mu held.
type shard struct {
	mu     sync.Mutex
	max    int
	token  uint64 // of the next claim
	stride uint64 // tokens step by the number of shards and start at the shard's index: unique in the store
	keys   map[hash]entry
	leases leases   // of the keys in flight
	ends   expiries // of the keys done, and stale ones
	stale  int      // expiries whose key has been claimed again since
	_      [16]byte // to whole cache lines, which shards would otherwise share
}

func newShard(size int, index, shards uint64) *shard {
	return &shard{max: size, token: index, stride: shards, keys: make(map[hash]entry), leases: newLeases(), ends: newExpiries()}
}

// entry is what is known of a key: the end of its window if it is done, or else, below zero, the number of its lease.
// One word, because done keys are many, while leases are few.
type entry int64

func doneUntil(end instant) entry { return entry(end) }
func inFlight(lease int) entry    { return entry(-1 - lease) }

func (e entry) end() (end instant, done bool) { return instant(e), e >= 0 }
func (e entry) lease() int                    { return int(-1 - e) }

func (s *shard) claim(h hash, d time.Duration, now instant) (Claim, error) {
	s.sweep(now)
	e, held := s.keys[h]
	if held {
		if end, done := e.end(); done {
			if now < end {
				return Claim{State: Done, Remaining: time.Duration(end - now)}, nil
			}
			s.stale++
		} else {
			if end := s.leases.get(e.lease()).end; now < end {
				return Claim{State: InFlight, Remaining: time.Duration(end - now)}, nil
			}
			s.leases.remove(e.lease())
		}
	} else if !s.makeRoom(now) {
		return Claim{}, ErrFull
	}
	token := strconv.FormatUint(s.token, 32)
	s.token += s.stride
	s.keys[h] = inFlight(s.leases.add(lease{key: h, token: token, end: after(now, d)}))
	return Claim{State: Acquired, Token: token}, nil
}

func (s *shard) commit(h hash, token string, ttl time.Duration, now instant) error {
	e, err := s.owned(h, token, now)
	if err != nil {
		return err
	}
	s.leases.remove(e.lease())
	end := after(now, ttl)
	s.keys[h] = doneUntil(end)
	s.ends.push(expiry{key: h, end: end})
	return nil
}

func (s *shard) release(h hash, token string, now instant) error {
	e, err := s.owned(h, token, now)
	if err != nil {
		return err
	}
	s.leases.remove(e.lease())
	delete(s.keys, h)
	return nil
}

// owned returns the entry of a key in flight that token owns.
func (s *shard) owned(h hash, token string, now instant) (entry, error) {
	e, held := s.keys[h]
	if !held {
		return 0, ErrLost
	}
	if _, done := e.end(); done {
		return 0, ErrLost
	}
	if l := s.leases.get(e.lease()); l.token != token || now >= l.end {
		return 0, ErrLost
	}
	return e, nil
}

// sweep forgets a few keys that have expired.
func (s *shard) sweep(now instant) {
	for range sweepPerClaim {
		e, ok := s.ends.popUntil(now)
		if !ok {
			return
		}
		s.forget(e)
	}
}

// forget removes a done key, unless it has been claimed again since. While no expiry is stale that need not be looked
// up.
func (s *shard) forget(e expiry) {
	if s.stale > 0 && s.keys[e.key] != doneUntil(e.end) {
		s.stale--
		return
	}
	delete(s.keys, e.key)
}

// makeRoom makes room for one more key and reports whether there is any. Abandoned claims go before done keys.
func (s *shard) makeRoom(now instant) bool {
	if len(s.keys) < s.max {
		return true
	}
	for _, key := range s.leases.removeEnded(now) {
		delete(s.keys, key)
	}
	for len(s.keys) >= s.max {
		e, ok := s.ends.popUntil(never)
		if !ok {
			return false
		}
		s.forget(e)
	}
	return true
}
