package dedup

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// size is the number of keys held, and of expiries kept for them.
func (m *Memory) size() (keys, expiries int) {
	for _, s := range m.shards {
		s.mu.Lock()
		keys += s.size()
		expiries += len(s.expiries)
		s.mu.Unlock()
	}
	return keys, expiries
}

// consistent checks that no key is both in flight and done, and that every done key has one expiry.
func consistent(t *testing.T, m *Memory) {
	t.Helper()
	for _, s := range m.shards {
		s.mu.Lock()
		for h := range s.done {
			assert.NotContains(t, s.inFlight, h)
		}
		current := 0
		for _, e := range s.expiries {
			if end, ok := s.done[e.key]; ok && end == e.end {
				current++
			}
		}
		assert.Len(t, s.done, current, "expiries of done keys")
		s.mu.Unlock()
	}
}

func acquire(t *testing.T, m *Memory, key string, lease time.Duration) string {
	t.Helper()
	c, err := m.Claim(t.Context(), key, lease)
	require.NoError(t, err)
	require.Equal(t, Acquired, c.State, key)
	return c.Token
}

func finish(t *testing.T, m *Memory, key string, ttl time.Duration) {
	t.Helper()
	require.NoError(t, m.Commit(t.Context(), key, acquire(t, m, key, time.Minute), ttl))
}

func state(t *testing.T, m *Memory, key string) State {
	t.Helper()
	h, s := m.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if end, done := s.done[h]; done && m.now() < end {
		return Done
	}
	if l, held := s.inFlight[h]; held && m.now() < l.end {
		return InFlight
	}
	return 0
}

func TestMemoryIsSplitUpToItsBound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ max, shards, total int }{
		{0, 64, defaultMaxKeys},
		{-1, 64, defaultMaxKeys},
		{1, 1, 1},
		{8191, 1, 8191},
		{8192, 2, 8192},
		{100_001, 16, 100_001},
		{10_000_000, 64, 10_000_000},
	} {
		m := NewMemory(MemoryOptions{MaxKeys: tt.max})
		total := 0
		for _, s := range m.shards {
			total += s.max
		}
		assert.Len(t, m.shards, tt.shards, tt.max)
		assert.Equal(t, tt.total, total, tt.max)
	}
}

func TestMemoryFullPushesOutTheKeyThatEndsFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		windows []time.Duration // of keys 0, 1, 2, 3, committed in this order
		gone    []int           // in the order of the pushing out
	}{
		"one window: the oldest": {[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, []int{0, 1, 2, 3}},
		"mixed windows":          {[]time.Duration{4 * time.Hour, 2 * time.Hour, 3 * time.Hour, time.Hour}, []int{3, 1, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(MemoryOptions{MaxKeys: 5})
				acquire(t, m, "in flight", time.Hour)
				for i, w := range tt.windows {
					finish(t, m, fmt.Sprint(i), w)
					pass(time.Second)
				}
				present := map[int]bool{0: true, 1: true, 2: true, 3: true}
				for n, gone := range tt.gone {
					acquire(t, m, fmt.Sprint("new ", n), time.Hour)
					present[gone] = false
					for i := range tt.windows {
						assert.Equal(t, present[i], state(t, m, fmt.Sprint(i)) == Done, "key %d after %d new ones", i, n+1)
					}
					assert.Equal(t, InFlight, state(t, m, "in flight"))
				}
				_, err := m.Claim(t.Context(), "one too many", time.Hour)
				assert.ErrorIs(t, err, ErrFull)
				c, err := m.Claim(t.Context(), "in flight", time.Hour)
				require.NoError(t, err, "a key that is held needs no room")
				assert.Equal(t, InFlight, c.State)
			})
		})
	}
}

func TestMemoryFullOfClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{MaxKeys: 3})
		acquire(t, m, "short", time.Second)
		acquire(t, m, "middle", time.Minute)
		token := acquire(t, m, "long", time.Hour)
		full := func() {
			_, err := m.Claim(t.Context(), "new", time.Hour)
			require.ErrorIs(t, err, ErrFull)
		}
		full()
		pass(time.Second)
		acquire(t, m, "in place of the abandoned claim", time.Hour)
		full()
		pass(time.Minute)
		acquire(t, m, "in place of the second one", time.Hour)
		full()
		require.NoError(t, m.Release(t.Context(), "long", token))
		acquire(t, m, "in place of the released one", time.Hour)
		full()
	})
}

// TestMemoryDropsTheAbandonedFirst: a claim whose lease has ended goes before a committed key does.
func TestMemoryDropsTheAbandonedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{MaxKeys: 2})
		finish(t, m, "done", time.Hour)
		acquire(t, m, "abandoned", time.Second)
		pass(time.Second)
		acquire(t, m, "new", time.Hour)
		assert.Equal(t, Done, state(t, m, "done"))
	})
}

// TestMemoryForgetsExpiredKeys: later claims, also of other keys, reclaim at least one expired key each.
func TestMemoryForgetsExpiredKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		m := NewMemory(MemoryOptions{MaxKeys: 4096})
		finish(t, m, "a long window in front", 24*time.Hour)
		for i := range n {
			finish(t, m, fmt.Sprint(i), time.Duration(1+i%7)*time.Minute)
		}
		pass(time.Hour)
		for i := range n {
			finish(t, m, fmt.Sprint("new ", i), time.Minute)
		}
		keys, expiries := m.size()
		assert.Equal(t, n+1, keys)
		assert.Equal(t, n+1, expiries)
	})
}

// TestMemoryDoesNotGrowByRepeats: one key whose window is short is committed and released over and over.
func TestMemoryDoesNotGrowByRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{MaxKeys: 4096})
		finish(t, m, "a long window in front", 24*time.Hour)
		for range 1000 {
			finish(t, m, "key", time.Second)
			pass(time.Second)
			require.NoError(t, m.Release(t.Context(), "key", acquire(t, m, "key", time.Second)))
		}
		keys, expiries := m.size()
		assert.LessOrEqual(t, keys, 2)
		assert.LessOrEqual(t, expiries, 3)
	})
}

// TestMemoryClaimsExpiredKeysAgain: keys expired but not yet reclaimed are taken anew, and their old expiries do no
// harm.
func TestMemoryClaimsExpiredKeysAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		m := NewMemory(MemoryOptions{MaxKeys: n})
		for i := range n {
			finish(t, m, fmt.Sprint(i), time.Minute)
		}
		pass(time.Hour)
		for i := n - 1; i >= 0; i-- { // the last to be reclaimed first
			finish(t, m, fmt.Sprint(i), time.Minute)
			if i == n-10 {
				consistent(t, m)
			}
		}
		for i := range n {
			require.Equal(t, Done, state(t, m, fmt.Sprint(i)), i)
		}
		keys, expiries := m.size()
		assert.Equal(t, n, keys)
		assert.Equal(t, n, expiries)

		pass(time.Hour)
		for i := range n {
			finish(t, m, fmt.Sprint("new ", i), time.Minute)
		}
		keys, expiries = m.size()
		assert.Equal(t, n, keys)
		assert.Equal(t, n, expiries)
		consistent(t, m)
	})
}

func TestMemoryLongestDurations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		pass(time.Hour)
		token := acquire(t, m, "key", math.MaxInt64)
		assert.Equal(t, InFlight, state(t, m, "key"))
		require.NoError(t, m.Commit(t.Context(), "key", token, math.MaxInt64))
		pass(24 * time.Hour)
		assert.Equal(t, Done, state(t, m, "key"))
	})
}

// TestMemoryAgainstModel runs random calls with mixed windows on a Memory and on a plain map, and compares all answers.
func TestMemoryAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			type held struct {
				token string
				state State
				end   time.Time
			}
			m := NewMemory(MemoryOptions{MaxKeys: 10_000})
			model := map[string]held{}
			tokens := map[string]string{}
			r := rand.New(rand.NewPCG(seed, 2))
			for step := range 20_000 {
				if step%1000 == 0 {
					consistent(t, m)
				}
				key := fmt.Sprint(r.IntN(50))
				d := time.Duration(1+r.IntN(40)) * time.Second
				now := time.Now()
				h := model[key]
				live := now.Before(h.end)
				owns := live && h.state == InFlight && h.token == tokens[key]
				switch r.IntN(5) {
				case 0, 1:
					c, err := m.Claim(t.Context(), key, d)
					require.NoError(t, err)
					if live {
						require.Equal(t, Claim{State: h.state, Remaining: h.end.Sub(now)}, c)
						break
					}
					require.Equal(t, Claim{State: Acquired, Token: c.Token}, c)
					model[key] = held{c.Token, InFlight, now.Add(d)}
					if r.IntN(4) > 0 { // else: the owner is gone, an older token stays with the key
						tokens[key] = c.Token
					}
				case 2:
					err := m.Commit(t.Context(), key, tokens[key], d)
					require.Equal(t, owns, err == nil, "%v", err)
					if owns {
						model[key] = held{"", Done, now.Add(d)}
					}
				case 3:
					err := m.Release(t.Context(), key, tokens[key])
					require.Equal(t, owns, err == nil, "%v", err)
					if owns {
						delete(model, key)
					}
				default:
					pass(time.Duration(r.IntN(3)) * time.Second)
				}
			}
		})
	}
}

// TestMemoryBoundHoldsUnderConcurrency: goroutines that claim, commit, release and abandon never take it over its
// bound.
func TestMemoryBoundHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	const bound = 500
	m := NewMemory(MemoryOptions{MaxKeys: bound})
	ctx := t.Context()
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range 5000 {
				if err := oneStep(ctx, m, r); err != nil {
					errs <- err
					return
				}
				if keys, expiries := m.size(); keys > bound || expiries > bound {
					errs <- fmt.Errorf("%d keys and %d expiries, bound %d", keys, expiries, bound)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		assert.NoError(t, err)
	}
	consistent(t, m)
}

func oneStep(ctx context.Context, m *Memory, r *rand.Rand) error {
	key := fmt.Sprint(r.IntN(2000))
	c, err := m.Claim(ctx, key, time.Minute)
	if errors.Is(err, ErrFull) || err == nil && c.State != Acquired {
		return nil
	}
	if err != nil {
		return err
	}
	switch r.IntN(20) {
	case 0:
		return nil // abandoned
	case 1, 2, 3:
		return m.Release(ctx, key, c.Token)
	default:
		return m.Commit(ctx, key, c.Token, time.Hour)
	}
}

// pass lets d go by on the fake clock of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// TestExpiriesOrder pushes and pops at random, with one, a few and many windows, and compares with a sorted list.
func TestExpiriesOrder(t *testing.T) {
	t.Parallel()
	for _, windows := range []int{1, 3, 1000} {
		s := &shard{done: map[hash]instant{}}
		var want []instant
		r := rand.New(rand.NewPCG(1, uint64(windows)))
		now := instant(0)
		for step := range 20_000 {
			now += instant(r.IntN(3))
			if r.IntN(100) < 55 {
				e := expiry{key: hash{uint64(step)}, end: now + 100*instant(1+r.IntN(windows))}
				s.done[e.key] = e.end
				s.expiries.add(e)
				at, _ := slices.BinarySearch(want, e.end)
				want = slices.Insert(want, at, e.end)
			}
			limit := now
			if r.IntN(50) == 0 {
				limit = never
			}
			if ok := len(want) > 0 && want[0] <= limit; ok {
				require.Equal(t, want[0], s.expiries[0].end)
				require.True(t, s.removeFirst(limit))
				want = want[1:]
			} else {
				require.False(t, s.removeFirst(limit))
			}
		}
		for _, end := range want {
			require.Equal(t, end, s.expiries[0].end)
			require.True(t, s.removeFirst(never))
		}
		assert.False(t, s.removeFirst(never))
		assert.Empty(t, s.done)
	}
}
