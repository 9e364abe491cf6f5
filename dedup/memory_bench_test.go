//go:build unix

package dedup

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	benchGoroutines = 8
	benchLive       = 1_000_000
	benchRecent     = 25_000        // a repeat is of one of a goroutine's last so many keys
	benchPool       = 1 << 18       // keys of a goroutine: twice what is live, so one that comes round again is forgotten
	benchRound      = 50_000        // checks of a goroutine in one round of the turnover
	benchWarmUp     = 4 * benchPool // new keys of all goroutines before the turnover is measured
	keyLength       = 2 * 24        // characters
	benchKeys       = benchPool * benchGoroutines
)

// BenchmarkMemory compares Memory with two floors in one run: 8 goroutines, every tenth key a repeat. A check is Claim,
// and Commit if the key is new; begin and end for the floor; mark, both in one step, for the one-phase floor.
//
//	fill      from empty to 1 M live keys
//	turnover  full, each new key takes the place of the oldest
//
// cpu-ns is user and system time of the process per check, garbage collection included. x-floor and x-onephase are
// Memory's divided by the floors'. missed counts repeats let through, mistaken new keys taken for repeats.
func BenchmarkMemory(b *testing.B) {
	keys := newKeyPool()
	b.Run("fill", func(b *testing.B) { benchmarkFill(b, keys) })
	b.Run("turnover", func(b *testing.B) { benchmarkTurnover(b, keys) })
}

func benchmarkFill(b *testing.B, keys keyPool) {
	all := contenders(b)
	const checks = benchLive / benchGoroutines * 10 / 9
	for n := range b.N {
		for i := range all {
			c := all[(n+i)%len(all)] // in turn, for what one leaves to the next in caches and heap
			before, began := heapInUse(), processTime(b)
			check := c.start()
			c.cpu += processTime(b) - began // floors allocate beforehand what Memory does on the way
			c.run(b, keys, check, 0, checks)
			c.bytes = heapInUse() - before
			runtime.KeepAlive(check)
		}
	}
	report(b, all)
	for _, c := range all {
		b.ReportMetric(float64(c.bytes)/benchLive, c.name+"-B/key")
	}
}

func benchmarkTurnover(b *testing.B, keys keyPool) {
	all := contenders(b)
	checks := make([]func(string) bool, len(all))
	const warm = benchWarmUp / benchGoroutines * 10 / 9
	for i, c := range all {
		checks[i] = c.start()
		c.run(b, keys, checks[i], 0, warm)
		c.reset()
	}
	runtime.GC()
	for n := range b.N {
		for i := range all {
			k := (n + i) % len(all)
			all[k].run(b, keys, checks[k], warm+n*benchRound, benchRound)
		}
	}
	report(b, all)
}

func report(b *testing.B, all []*contender) {
	perCheck := map[string]float64{}
	for _, c := range all {
		perCheck[c.name] = float64(c.cpu) / float64(c.checks)
		b.ReportMetric(perCheck[c.name], c.name+"-cpu-ns")
	}
	memory := all[len(all)-1]
	b.ReportMetric(perCheck["memory"]/perCheck["floor"], "x-floor")
	b.ReportMetric(perCheck["memory"]/perCheck["onephase"], "x-onephase")
	b.ReportMetric(float64(memory.missed.Load()), "missed")
	b.ReportMetric(float64(memory.mistaken.Load()), "mistaken")
	b.ReportMetric(0, "ns/op") // an op is a round of all contenders: it says nothing
}

// contender is a store under benchmark and what it has been measured to need.
type contender struct {
	name string
	// start makes an empty store and returns its check: whether the key is new, with all done that is due for a new
	// one.
	start            func() func(key string) bool
	cpu              time.Duration
	checks           int
	missed, mistaken atomic.Int64
	bytes            uint64
}

func contenders(b *testing.B) []*contender {
	return []*contender{
		{name: "onephase", start: func() func(string) bool {
			f := newFloor(defaultMaxKeys)
			return func(key string) bool { return f.mark(key, time.Hour) }
		}},
		{name: "floor", start: func() func(string) bool {
			f := newFloor(defaultMaxKeys)
			return func(key string) bool {
				isNew := f.begin(key, time.Minute)
				if isNew {
					f.end(key, time.Hour)
				}
				return isNew
			}
		}},
		{name: "memory", start: func() func(string) bool {
			m := NewMemory(MemoryOptions{})
			ctx := context.Background()
			return func(key string) bool {
				c, err := m.Claim(ctx, key, time.Minute)
				if err == nil && c.State == Acquired {
					err = m.Commit(ctx, key, c.Token, time.Hour)
				}
				if err != nil {
					b.Error(err)
				}
				return c.State == Acquired
			}
		}},
	}
}

func (c *contender) reset() {
	c.cpu, c.checks = 0, 0
	c.missed.Store(0)
	c.mistaken.Store(0)
}

// run has each goroutine make its checks from the given one on.
func (c *contender) run(b *testing.B, keys keyPool, check func(string) bool, from, count int) {
	began := processTime(b)
	var wg sync.WaitGroup
	for g := range benchGoroutines {
		wg.Go(func() {
			var missed, mistaken int64
			for i := from; i < from+count; i++ {
				key, repeat := keys.pick(g, i)
				switch isNew := check(key); {
				case isNew && repeat:
					missed++
				case !isNew && !repeat:
					mistaken++
				}
			}
			c.missed.Add(missed)
			c.mistaken.Add(mistaken)
		})
	}
	wg.Wait()
	c.cpu += processTime(b) - began
	c.checks += benchGoroutines * count
}

// keyPool is the keys one after the other in one string, so that they add nothing for the garbage collector to follow.
type keyPool string

func newKeyPool() keyPool {
	text := make([]byte, 0, benchKeys*keyLength)
	var raw [keyLength / 2]byte
	for i := range uint64(benchKeys) {
		binary.BigEndian.PutUint64(raw[16:], i)
		text = hex.AppendEncode(text, raw[:])
	}
	return keyPool(text)
}

// pick returns the i-th key that goroutine g checks, and whether it is a repeat.
func (p keyPool) pick(g, i int) (key string, repeat bool) {
	n := i - i/10 // new keys before this one
	if repeat = i%10 == 9; repeat {
		back := int(uint32(i)*2654435761>>8) % min(n, benchRecent)
		n -= 1 + back
	}
	at := (g*benchPool + n%benchPool) * keyLength
	return string(p[at : at+keyLength]), repeat
}

func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
