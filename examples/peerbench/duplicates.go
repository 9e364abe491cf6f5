package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkers  = 8         // goroutines that ask
	recent    = 25_000    // a repeat is of one of a goroutine's last so many keys
	window    = time.Hour // how long a repeat is one: longer than a round
	keyLength = 48        // characters
)

// memory is a library's way to tell repeats.
type memory struct {
	isNew func(key string) bool
	close func()
}

// memoryMaker opens one for as many keys as there will be.
type memoryMaker struct {
	name   string
	traits memoryTraits
	open   func(keys int) memory
}

// memoryTraits says what an answer of a memory is worth.
type memoryTraits struct{ atomic, phases, bound string }

func memoryTraitNames() []string {
	return []string{"asks and marks in one", "when the first attempt fails", "bound"}
}

func (t memoryTraits) list() []string { return []string{t.atomic, t.phases, t.bound} }

// duplicates is the contest of telling repeats.
func duplicates(checks int) contest {
	c := contest{
		name:  "dedup",
		title: "Dedup",
		work: fmt.Sprintf("Is this key new within the last hour? Asked by %d goroutines, every tenth time about a recent one; from empty "+
			"to %s live keys. Tocsin and the first row claim before the work and commit after it, the others only mark. The bytes are "+
			"without the %d of the key's text, which the first row and Tocsin do not keep.",
			checkers, figure(float64(checks)*0.9), keyLength),
		unit: "check", amount: checks,
		metrics: []string{heldPerKey, repeatsMissed, "new ones mistaken"},
		traits:  memoryTraitNames(),
	}
	for _, m := range []memoryMaker{
		shardedMaps(), tocsinMemory(), goCache(), otterCache(), ttlCache(), expirableLRU(),
	} {
		c.entrants = append(c.entrants, entrant{name: m.name, traits: m.traits.list(), open: func(units int) (worker, error) {
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
