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
		if d > 17*time.Microsecond && d < time.Hour {
			assert.InEpsilon(t, float64(d), float64(bucketMiddle(i)), 1.0/8, "%v stands for %v", bucketMiddle(i), d)
		}
	}
	assert.Equal(t, durationBuckets-1, last)
	for _, d := range []time.Duration{-time.Hour, 0, 1, 16 * time.Microsecond} {
		assert.Zero(t, durationBucket(d))
	}
	assert.Equal(t, durationBuckets-1, durationBucket(1<<63-1))
}

func percentiles(h *durations) (p50, p99 time.Duration) { return h.percentile(50), h.percentile(99) }

func TestPercentiles(t *testing.T) {
	t.Parallel()
	var h durations
	p50, p99 := percentiles(&h)
	assert.Zero(t, p50+p99, "none yet")

	rnd := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rnd.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		h.add(d, began)
	}
	slices.Sort(all)
	p50, p99 = percentiles(&h)
	assert.InEpsilon(t, float64(all[len(all)/2]), float64(p50), 0.15)
	assert.InEpsilon(t, float64(all[len(all)*99/100]), float64(p99), 0.15)
}

// Percentiles are of the latest minutes: a receiver that was slow last night is not slow forever.
func TestPercentilesForget(t *testing.T) {
	t.Parallel()
	var h durations
	began := time.Now()
	h.add(time.Second, began)
	h.add(time.Millisecond, began.Add(durationPeriod))
	h.add(time.Millisecond, began.Add(durationPeriod))
	_, p99 := percentiles(&h)
	assert.Greater(t, p99, 800*time.Millisecond, "the previous window counts")
	h.add(time.Millisecond, began.Add(2*durationPeriod))
	_, p99 = percentiles(&h)
	assert.Less(t, p99, 2*time.Millisecond, "the one before does not")
}

func TestRecordFromManyGoroutines(t *testing.T) {
	t.Parallel()
	var r record
	began := time.Now()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				r.succeeded(&Attempt{Duration: time.Millisecond, Began: began.Add(time.Duration(i) * durationPeriod / 1000)})
				if g == 0 {
					r.fill(new(RouteStatus))
					r.percentiles()
				}
			}
		})
	}
	wg.Wait()
	var s RouteStatus
	r.fill(&s)
	assert.EqualValues(t, 16_000, s.Delivered)
	p50, p99 := r.percentiles()
	assert.InEpsilon(t, float64(time.Millisecond), float64(p50), 0.15)
	assert.Equal(t, p50, p99)
}

// Recording is on every attempt's way.
func BenchmarkDurations(b *testing.B) {
	var h durations
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		h.add(3*time.Millisecond, now)
	}
}
