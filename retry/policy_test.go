package retry_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/retry"
)

const never = -1

// pauses asks p for the pause after each of the first n attempts, each attempt starting as soon as it may.
func pauses(p retry.Policy, n int) []time.Duration {
	var got []time.Duration
	var elapsed time.Duration
	for attempt := 1; attempt <= n; attempt++ {
		d, ok := p.Next(retry.Failure{Attempt: attempt, Elapsed: elapsed, Err: errBoom})
		if !ok {
			return append(got, never)
		}
		got = append(got, d)
		elapsed += d
	}
	return got
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	steady := retry.Exponential{Initial: 20 * time.Millisecond, Max: 100 * time.Millisecond, Jitter: -1}
	ms := func(values ...int) []time.Duration {
		pauses := make([]time.Duration, len(values))
		for i, v := range values {
			pauses[i] = never
			if v >= 0 {
				pauses[i] = time.Duration(v) * time.Millisecond
			}
		}
		return pauses
	}
	for name, tc := range map[string]struct {
		policy retry.Policy
		want   []time.Duration
	}{
		"exponential to its maximum":      {steady, ms(20, 40, 80, 100, 100)},
		"multiplier":                      {retry.Exponential{Initial: time.Millisecond, Multiplier: 3, Jitter: -1}, ms(1, 3, 9, 27)},
		"defaults without jitter":         {retry.Exponential{Jitter: -1}, ms(1000, 2000, 4000, 8000, 16000)},
		"nonsense counts as default":      {retry.Exponential{Initial: -5, Max: -5, Multiplier: math.NaN(), Jitter: -1}, ms(1000, 2000)},
		"initial above the maximum":       {retry.Exponential{Initial: time.Hour, Max: time.Second, Jitter: -1}, ms(1000, 1000)},
		"3 retries are 4 attempts":        {retry.AtMost(4, steady), ms(20, 40, 80, never)},
		"at most one":                     {retry.AtMost(0, steady), ms(never)},
		"within an elapsed time":          {retry.Within(150*time.Millisecond, steady), ms(20, 40, 80, never)},
		"both bounds, attempts first":     {retry.AtMost(2, retry.Within(time.Hour, steady)), ms(20, never)},
		"both bounds, time first":         {retry.AtMost(9, retry.Within(70*time.Millisecond, steady)), ms(20, 40, never)},
		"fixed, bounded by duration":      {retry.Fixed{Interval: 30 * time.Millisecond, For: 90 * time.Millisecond}, ms(30, 30, 30, never)},
		"fixed, no end":                   {retry.Fixed{Interval: time.Millisecond}, ms(1, 1, 1, 1)},
		"schedule":                        {retry.Schedule{0, 5 * time.Millisecond, 300 * time.Millisecond}, ms(5, 300, never)},
		"empty schedule is one attempt":   {retry.Schedule{}, ms(never)},
		"negative pause in a schedule":    {retry.Schedule{0, -time.Second}, ms(0, never)},
		"never":                           {retry.Never{}, ms(never)},
		"Never stays never when bounded":  {retry.AtMost(5, retry.Never{}), ms(never)},
		"bound in time without a success": {retry.Within(0, retry.Fixed{Interval: 1}), ms(never)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, pauses(tc.policy, len(tc.want)))
		})
	}
}

func TestExponentialFarOut(t *testing.T) {
	t.Parallel()
	p := retry.Exponential{Jitter: -1}
	for _, attempt := range []int{-1, 0, 1, 63, 64, 1 << 20, math.MaxInt} {
		d, ok := p.Next(retry.Failure{Attempt: attempt})
		assert.True(t, ok)
		assert.GreaterOrEqual(t, d, time.Second, "attempt %d", attempt)
		assert.LessOrEqual(t, d, 15*time.Minute, "attempt %d", attempt)
	}
}

func TestJitterStaysInRange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ jitter, lo, hi float64 }{{0, 0.5, 1.5}, {0.1, 0.9, 1.1}, {7, 0, 2}, {math.NaN(), 0, 2}} {
		p := retry.Exponential{Initial: time.Second, Max: time.Second, Jitter: tc.jitter}
		seen := map[time.Duration]bool{}
		for range 1000 {
			d, _ := p.Next(retry.Failure{Attempt: 1})
			assert.InDelta(t, (tc.lo+tc.hi)/2, d.Seconds(), (tc.hi-tc.lo)/2+1e-6)
			seen[d] = true
		}
		assert.Greater(t, len(seen), 900, "jitter %v must spread", tc.jitter)
	}
}

// A policy is asked by many deliveries in any order; an answer must depend on the question only.
func TestPoliciesArePure(t *testing.T) {
	t.Parallel()
	p := retry.AtMost(50, retry.Within(time.Hour, retry.Exponential{Initial: time.Millisecond, Jitter: -1}))
	want := pauses(p, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				assert.Equal(t, want, pauses(p, 8))
			}
		})
	}
	wg.Wait()
}

func BenchmarkExponentialNext(b *testing.B) {
	p := retry.AtMost(1000, retry.Exponential{})
	b.ReportAllocs()
	for b.Loop() {
		p.Next(retry.Failure{Attempt: 5, Elapsed: time.Minute, Err: errBoom})
	}
}
