package dispatcher

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDurationBuckets(t *testing.T) {
	t.Parallel()
	last := -1
	for d := time.Duration(1); d < 90*time.Minute && d > 0; d += d/16 + 1 {
		i := durationBucket(d)
		assert.GreaterOrEqual(t, i, last, "in order")
		assert.LessOrEqual(t, i, last+1, "without a gap at %v", d)
		last = i
		if d > 16*time.Microsecond && d < time.Hour {
			assert.InEpsilon(t, float64(d), float64(bucketMiddle(i)), 1.0/7, "%v stands for %v", bucketMiddle(i), d)
		}
	}
	assert.Equal(t, durationCount-1, last)
	for _, d := range []time.Duration{-time.Hour, 0, 1, 16 * time.Microsecond} {
		assert.Zero(t, durationBucket(d))
	}
	assert.Equal(t, durationCount-1, durationBucket(1<<63-1))
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	var h durations
	p50, p99 := h.percentiles()
	assert.Zero(t, p50+p99, "none yet")

	rnd := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rnd.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		h.add(d, began, 1)
	}
	slices.Sort(all)
	p50, p99 = h.percentiles()
	assert.InEpsilon(t, float64(all[len(all)/2]), float64(p50), 0.15)
	assert.InEpsilon(t, float64(all[len(all)*99/100]), float64(p99), 0.15)
}

// Percentiles are of the latest minutes: a receiver that was slow last night is not slow for ever.
func TestPercentilesForget(t *testing.T) {
	t.Parallel()
	var h durations
	began := time.Now()
	h.add(time.Second, began, 1)
	h.add(time.Millisecond, began.Add(durationPeriod), 1)
	h.add(time.Millisecond, began.Add(durationPeriod), 1)
	_, p99 := h.percentiles()
	assert.Greater(t, p99, 800*time.Millisecond, "the former window counts")
	h.add(time.Millisecond, began.Add(2*durationPeriod), 1)
	_, p99 = h.percentiles()
	assert.Less(t, p99, 2*time.Millisecond, "the one before does not")
}

func TestDurationsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	var h durations
	began := time.Now()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				h.add(time.Millisecond, began.Add(time.Duration(i)*durationPeriod/1000), 1)
				if g == 0 {
					h.percentiles()
				}
			}
		})
	}
	wg.Wait()
	p50, p99 := h.percentiles()
	assert.InEpsilon(t, float64(time.Millisecond), float64(p50), 0.15)
	assert.Equal(t, p50, p99)
}

// Of a busy route only some are measured, and stand for the others.
func TestPercentilesOfABusyRoute(t *testing.T) {
	t.Parallel()
	var h durations
	rnd := rand.New(rand.NewPCG(3, 4))
	began := time.Now()
	measured := 0
	add := func(n int64, d time.Duration) {
		if weight := h.weight(n); weight > 0 {
			measured++
			h.add(d, began, weight)
		}
	}
	for n := range int64(100_000) {
		d := time.Millisecond
		if n > durationBusy && rnd.IntN(100) < 60 { // slower since it is busy
			d = 10 * time.Millisecond
		}
		add(n, d)
	}
	assert.InDelta(t, durationBusy+100_000/durationEvery, measured, 100)
	p50, p99 := h.percentiles()
	assert.InEpsilon(t, float64(10*time.Millisecond), float64(p50), 0.15, "the few that are measured outweigh the first thousand")
	assert.Equal(t, p50, p99)
	h.add(time.Second, began.Add(durationPeriod), h.weight(durationEvery))
	assert.EqualValues(t, 1, h.weight(3), "a new window measures all again")
}

// Recording is on every attempt's way.
func BenchmarkDurations(b *testing.B) {
	var h durations
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		h.add(3*time.Millisecond, now, 1)
	}
}
