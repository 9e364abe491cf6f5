package dispatcher

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// durations counts how long attempts took, for percentiles, without locks and, but for two pieces of 512 bytes in ten
// minutes, without memory. It remembers the latest five to ten minutes in which there were attempts. Reading the clock
// is the expensive part of an attempt that takes no time, so of a busy route only some successes are measured.
type durations struct {
	latest atomic.Pointer[durationWindow]
	busy   atomic.Bool
}

// durationPeriod is how long one window counts.
const durationPeriod = 5 * time.Minute

const (
	durationBusy  = 1024 // attempts in a window, after which one of durationEvery is measured and stands for as many
	durationEvery = 16
)

const (
	durationSteps = 4                    // buckets per doubling: a bucket is at most a quarter wide, so its middle is within an eighth
	shortest      = 14                   // bits of 16 µs, which are the lower end of the second bucket
	durationCount = 2 + durationSteps*28 // the last begins at about an hour
)

// durationWindow counts the attempts of one period. A counter overflows after 14 million attempts a second.
type durationWindow struct {
	began    time.Time
	previous atomic.Pointer[durationWindow]
	seen     atomic.Uint32 // how often something was added
	counts   [durationCount]atomic.Uint32
}

// weight returns for how many successes the n-th one of the route stands; 0 = it is not to be measured.
func (h *durations) weight(n int64) uint32 {
	switch {
	case !h.busy.Load():
		return 1
	case n%durationEvery == 0:
		return durationEvery
	}
	return 0
}

// add counts an attempt that began then.
func (h *durations) add(d time.Duration, began time.Time, weight uint32) {
	w := h.latest.Load()
	if w == nil || began.Sub(w.began) >= durationPeriod {
		w = h.turn(w, began)
	}
	w.counts[durationBucket(d)].Add(weight)
	if w.seen.Add(1) == durationBusy {
		h.busy.Store(true)
	}
}

// turn begins a new window and lets the one before the previous go.
func (h *durations) turn(w *durationWindow, now time.Time) *durationWindow {
	next := &durationWindow{began: now}
	next.previous.Store(w)
	if !h.latest.CompareAndSwap(w, next) {
		return h.latest.Load() // somebody else did
	}
	if w != nil {
		w.previous.Store(nil)
	}
	h.busy.Store(false)
	return next
}

// durationBucket returns the number of d's bucket.
func durationBucket(d time.Duration) int {
	n := uint64(max(d, 0))
	size := bits.Len64(n)
	if size <= shortest {
		return 0
	}
	// Below the leading bit, the next two say which quarter of the doubling it is.
	quarter := int(n>>(size-3)) & (durationSteps - 1)
	return min(1+(size-shortest-1)*durationSteps+quarter, durationCount-1)
}

// bucketMiddle is the duration that stands for a bucket.
func bucketMiddle(i int) time.Duration {
	if i == 0 {
		return 1 << (shortest - 1)
	}
	size, quarter := (i-1)/durationSteps, (i-1)%durationSteps
	low := uint64(durationSteps+quarter) << (shortest - 2 + size)
	return time.Duration(low + 1<<(shortest-3+size))
}

// percentiles returns the durations that half and 99 % of the attempts did not exceed, to about an eighth; 0 = none.
func (h *durations) percentiles() (p50, p99 time.Duration) {
	var counts [durationCount]uint64
	var total uint64
	w := h.latest.Load()
	for range 2 {
		if w == nil {
			break
		}
		for i := range w.counts {
			n := uint64(w.counts[i].Load())
			counts[i] += n
			total += n
		}
		w = w.previous.Load()
	}
	at := func(percent uint64) time.Duration {
		var below uint64
		for i, n := range counts {
			if below += n; below*100 >= total*percent {
				return bucketMiddle(i)
			}
		}
		return 0
	}
	if total == 0 {
		return 0, 0
	}
	return at(50), at(99)
}
