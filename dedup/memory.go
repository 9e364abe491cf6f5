package dedup

import (
	"context"
	"hash/maphash"
	"math"
	"time"
)

const (
	defaultMaxKeys  = 1 << 20
	maxShards       = 64   // enough that goroutines rarely meet at one lock
	minKeysPerShard = 4096 // few enough shards that hashing fills them evenly
)

// MemoryOptions configure a Memory. The zero value is useful.
type MemoryOptions struct {
	// MaxKeys bounds the keys held, in flight and done together. 0 or less = 1,048,576.
	MaxKeys int
}

// Memory is a Store within one process: what it knows ends with the process. It has no goroutine and needs no closing.
//
// When it is full, a new claim pushes out the committed key whose window ends first (the oldest, if all windows are
// equal): a possible repeat, never a loss. Claims in flight are never pushed out; if there is nothing else, Claim
// returns ErrFull. From 8,192 keys the bound is split evenly among up to 64 shards, chosen by the key's hash, so
// this begins in the fullest shard somewhat (a few percent) before MaxKeys is reached.
//
// Keys are kept as 128-bit hashes with a secret seed. Expired keys are removed step by step by later claims; the
// memory of a peak is kept for reuse. Time is the monotonic clock. Make one with NewMemory.
type Memory struct {
	start  time.Time
	seeds  [2]maphash.Seed
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
		m.shards[i] = newShard(size, uint64(i), uint64(n))
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

// now is read with the shard locked: ends then rise in the order of the commits, which is what makes expiry cheap.
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
