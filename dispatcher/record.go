package dispatcher

import (
	"math/bits"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/retry"
)

// record is what is known about the attempts at a destination.
type record struct {
	mu                               sync.Mutex
	delivered, skipped, failed, dead int64
	lastSuccess                      time.Time
	failingSince                     time.Time // the first failed attempt since the last success
	downSince                        time.Time // the first transient failure since the last success
	refused                          int       // permanent failures since the last success
	lastError                        string
	lastErrorAt                      time.Time
	durations                        durations
}

// succeeded counts a delivered or skipped attempt.
func (r *record) succeeded(a *Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Outcome == Skipped {
		r.skipped++
		return
	}
	r.delivered++
	r.lastSuccess = a.Began
	r.failingSince, r.downSince, r.refused = time.Time{}, time.Time{}, 0
	r.durations.add(a.Duration, a.Began)
}

// refusals is how many deliveries a destination refuses, with no success in between, before that is its failure and not
// theirs.
const refusals = 10

// failure counts a failed attempt. It returns since when the destination has been failing; zero = that is not known,
// because the attempt was refused, and not enough were: a receiver that answers one event with a refusal is well.
func (r *record) failure(a *Attempt) time.Time {
	text := a.Err.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.durations.add(a.Duration, a.Began)
	r.failed++
	r.lastError, r.lastErrorAt = text, a.Began
	if r.failingSince.IsZero() {
		r.failingSince = a.Began
	}
	transient := a.Verdict == retry.VerdictTransient
	switch {
	case !transient:
		r.refused++
	case r.downSince.IsZero():
		r.downSince = a.Began
	}
	switch {
	case r.refused >= refusals:
		return r.failingSince
	case transient:
		return r.downSince
	}
	return time.Time{}
}

// countDead counts a dead delivery.
func (r *record) countDead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead++
}

func (r *record) fill(s *RouteStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Delivered, s.Skipped, s.Failed, s.Dead = r.delivered, r.skipped, r.failed, r.dead
	s.LastSuccess, s.FailingSince, s.LastError, s.LastErrorAt = r.lastSuccess, r.failingSince, r.lastError, r.lastErrorAt
}

// percentiles returns how long half and 99 % of the latest attempts took at most; 0 = there were none.
func (r *record) percentiles() (p50, p99 time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.durations.percentile(50), r.durations.percentile(99)
}

// durations counts how long attempts took in a histogram with four buckets for each doubling. It remembers the latest
// five to ten minutes in which there were attempts.
type durations struct {
	began            time.Time // of latest
	latest, previous *histogram
}

type histogram [durationBuckets]uint32

const (
	durationPeriod   = 5 * time.Minute // of one histogram
	shortestExponent = 14
	shortestDuration = 1 << shortestExponent // nanoseconds, the end of the first bucket
	perDoubling      = 4                     // buckets of equal width: the middle of one is within an eighth of all in it
	durationBuckets  = 2 + 28*perDoubling    // the last begins at about an hour
)

func (d *durations) add(took time.Duration, began time.Time) {
	if d.latest == nil || began.Sub(d.began) >= durationPeriod {
		d.began, d.latest, d.previous = began, new(histogram), d.latest
	}
	d.latest[durationBucket(took)]++
}

func durationBucket(d time.Duration) int {
	if d <= shortestDuration {
		return 0
	}
	exponent := bits.Len64(uint64(d)) - 1
	part := int(d>>(exponent-2)) & (perDoubling - 1)
	return min(1+(exponent-shortestExponent)*perDoubling+part, durationBuckets-1)
}

// bucketMiddle is the duration that stands for a bucket.
func bucketMiddle(i int) time.Duration {
	if i == 0 {
		return shortestDuration / 2
	}
	doublings, part := (i-1)/perDoubling, (i-1)%perDoubling
	return time.Duration((2*(perDoubling+part) + 1) << (shortestExponent + doublings - 3))
}

// percentile returns the duration that this many of a hundred attempts did not exceed; 0 = there were none.
func (d *durations) percentile(percent uint64) time.Duration {
	var all [durationBuckets]uint64
	var total, below uint64
	for _, h := range []*histogram{d.latest, d.previous} {
		if h == nil {
			continue
		}
		for i, n := range h {
			all[i] += uint64(n)
			total += uint64(n)
		}
	}
	for i, n := range all {
		if below += n; n > 0 && below*100 >= total*percent {
			return bucketMiddle(i)
		}
	}
	return 0
}
