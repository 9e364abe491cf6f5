package dedup

import (
	"container/heap"
	"context"
	"hash/maphash"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMaxKeys  = 1 << 20
	maxShards       = 64   // enough that goroutines rarely wait for one lock
	minKeysPerShard = 4096 // few enough shards that hashing fills them evenly
	sweepPerClaim   = 2    // expired keys that each claim removes: it adds one key, so the expired ones do not pile up
)

// MemoryOptions configure a Memory. The zero value is useful.
type MemoryOptions struct {
	// MaxKeys bounds the keys held, in flight and done together. 0 or less = 1,048,576.
	MaxKeys int
}

// Memory is a Store within one process: what it knows ends with the process. It has no goroutine and needs no closing.
//
// When it is full, a new claim evicts the committed key whose window ends first (the oldest, if all windows are
// equal): a possible repeat, never a loss. Claims in flight are never evicted; if there is nothing else, Claim
// returns ErrFull. From 8,192 keys the bound is split evenly among up to 64 shards, chosen by the key's hash, so
// this begins in the fullest shard somewhat (a few percent) before MaxKeys is reached.
//
// Keys are kept as 128-bit hashes with a secret seed. Expired keys are removed step by step by later claims; the
// memory of a peak is kept for reuse. Time is the monotonic clock. Make one with NewMemory.
type Memory struct {
	start  time.Time
	seeds  [2]maphash.Seed
	tokens atomic.Uint64
	shards []*shard // a power of two of them
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxKeys <= 0 {
		o.MaxKeys = defaultMaxKeys
	}
	n := 1
	for n < maxShards && o.MaxKeys/(2*n) >= minKeysPerShard {
		n *= 2
	}
	m := &Memory{
		start:  time.Now(),
		seeds:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		shards: make([]*shard, n),
	}
	for i := range m.shards {
		size := o.MaxKeys / n
		if i < o.MaxKeys%n {
			size++
		}
		m.shards[i] = &shard{
			max: size, tokens: &m.tokens,
			inFlight: map[hash]lease{}, done: map[hash]instant{}, firstEnd: never,
		}
	}
	return m
}

// Claim implements Store. It returns ErrFull when there is no room.
func (m *Memory) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := ValidateCall(ctx, key, lease); err != nil {
		return Claim{}, err
	}
	h, s := m.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claim(h, lease, m.now())
}

// Commit implements Store.
func (m *Memory) Commit(ctx context.Context, key, token string, ttl time.Duration) error {
	if err := ValidateCall(ctx, key, ttl); err != nil {
		return err
	}
	h, s := m.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(h, token, ttl, m.now())
}

// Release implements Store.
func (m *Memory) Release(ctx context.Context, key, token string) error {
	if err := ValidateCall(ctx, key, 1); err != nil {
		return err
	}
	h, s := m.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release(h, token, m.now())
}

func (m *Memory) locate(key string) (hash, *shard) {
	h := hash{maphash.String(m.seeds[0], key), maphash.String(m.seeds[1], key)}
	return h, m.shards[h[0]&uint64(len(m.shards)-1)]
}

// now is read with the shard locked: with one window for all keys, ends rise in the order of the commits, and a key
// enters the heap at its end without moving others.
func (m *Memory) now() instant { return instant(time.Since(m.start)) }

// instant is nanoseconds since the store was made.
type instant int64

const never instant = math.MaxInt64

// after is t + d, and never if that overflows.
func after(t instant, d time.Duration) instant {
	if instant(d) > never-t {
		return never
	}
	return t + instant(d)
}

// hash stands for a key.
type hash [2]uint64

// shard is one lock's share of a Memory. Its methods need mu held. A key is in at most one of the two maps.
type shard struct {
	mu       sync.Mutex
	max      int
	tokens   *atomic.Uint64 // of the store: the last token given out
	inFlight map[hash]lease
	done     map[hash]instant // when the window ends
	expiries expiries         // of the keys done, and outdated ones of keys that were claimed again
	firstEnd instant          // no lease ends before
}

// lease is a claim in flight.
type lease struct {
	token string
	end   instant
}

func (s *shard) claim(h hash, d time.Duration, now instant) (Claim, error) {
	s.removeExpired(now)
	end, done := s.done[h]
	if done && now < end {
		return Claim{State: Done, Remaining: time.Duration(end - now)}, nil
	}
	l, held := s.inFlight[h]
	if held && now < l.end {
		return Claim{State: InFlight, Remaining: time.Duration(l.end - now)}, nil
	}
	if !done && !held && !s.makeRoom(now) {
		return Claim{}, ErrFull
	}
	delete(s.done, h)
	l = lease{token: strconv.FormatUint(s.tokens.Add(1), 32), end: after(now, d)}
	s.firstEnd = min(s.firstEnd, l.end)
	s.inFlight[h] = l
	return Claim{State: Acquired, Token: l.token}, nil
}

func (s *shard) commit(h hash, token string, ttl time.Duration, now instant) error {
	if err := s.release(h, token, now); err != nil {
		return err
	}
	end := after(now, ttl)
	s.done[h] = end
	s.expiries.add(expiry{key: h, end: end})
	return nil
}

func (s *shard) release(h hash, token string, now instant) error {
	if l, held := s.inFlight[h]; !held || l.token != token || now >= l.end {
		return ErrLost
	}
	delete(s.inFlight, h)
	return nil
}

// removeExpired removes a few keys whose window has ended.
func (s *shard) removeExpired(now instant) {
	for range sweepPerClaim {
		if !s.removeFirst(now) {
			return
		}
	}
}

// removeFirst removes the done key whose window ends first, if it ends at limit or before.
func (s *shard) removeFirst(limit instant) bool {
	if len(s.expiries) == 0 || s.expiries[0].end > limit {
		return false
	}
	e := s.expiries.removeFirst()
	if s.done[e.key] == e.end { // not claimed again since
		delete(s.done, e.key)
	}
	return true
}

// makeRoom makes room for one more key and reports whether there is any. Abandoned claims go before done keys.
func (s *shard) makeRoom(now instant) bool {
	if s.size() >= s.max {
		s.removeAbandoned(now)
	}
	for s.size() >= s.max {
		if !s.removeFirst(never) {
			return false
		}
	}
	return true
}

func (s *shard) size() int { return len(s.inFlight) + len(s.done) }

// removeAbandoned removes the claims whose lease has ended. It visits all claims, so not before one can have ended: a
// shard full of claims would otherwise do that on every call.
func (s *shard) removeAbandoned(now instant) {
	if now < s.firstEnd {
		return
	}
	s.firstEnd = never
	for h, l := range s.inFlight {
		if now >= l.end {
			delete(s.inFlight, h)
		} else {
			s.firstEnd = min(s.firstEnd, l.end)
		}
	}
}

// expiry is a done key and when its window ends.
type expiry struct {
	key hash
	end instant
}

// expiries is a heap, the first to end at index 0. It is used by heap.Fix, which unlike heap.Push and heap.Pop makes no
// interface value of each key.
type expiries []expiry

var _ heap.Interface = (*expiries)(nil)

func (x *expiries) add(e expiry) {
	*x = append(*x, e)
	heap.Fix(x, len(*x)-1)
}

func (x *expiries) removeFirst() expiry {
	first, last := (*x)[0], len(*x)-1
	(*x)[0] = (*x)[last]
	if *x = (*x)[:last]; last > 0 {
		heap.Fix(x, 0)
	}
	return first
}

func (x *expiries) Len() int           { return len(*x) }
func (x *expiries) Less(i, j int) bool { return (*x)[i].end < (*x)[j].end }
func (x *expiries) Swap(i, j int)      { (*x)[i], (*x)[j] = (*x)[j], (*x)[i] }
func (x *expiries) Push(e any)         { *x = append(*x, e.(expiry)) }
func (x *expiries) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	*x = (*x)[:last]
	return e
}
