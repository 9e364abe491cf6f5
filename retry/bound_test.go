package retry_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/retry"
)

const noEnd = time.Duration(-1)

// own is a policy of a host's, which tells nothing about its end.
type own struct{}

func (own) Next(retry.Failure) (time.Duration, bool) { return time.Second, true }

func TestSpanAndDeadline(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	steady := retry.Exponential{Initial: s, Max: 4 * s, Jitter: -1}
	for name, tc := range map[string]struct {
		policy         retry.Policy
		span, deadline time.Duration
	}{
		"nil":                                {nil, noEnd, noEnd},
		"a host's own":                       {own{}, noEnd, noEnd},
		"a host's own, bounded by attempts":  {retry.AtMost(3, own{}), noEnd, noEnd},
		"a host's own, bounded by time":      {retry.Within(h, own{}), h, h},
		"never":                              {retry.Never{}, 0, noEnd},
		"exponential":                        {retry.Exponential{}, noEnd, noEnd},
		"exponential, one attempt":           {retry.AtMost(1, steady), 0, noEnd},
		"exponential, three":                 {retry.AtMost(3, steady), 3 * s, noEnd},
		"exponential, past its maximum":      {retry.AtMost(6, steady), (1 + 2 + 4 + 4 + 4) * s, noEnd},
		"jitter at its longest":              {retry.AtMost(2, retry.Exponential{Initial: s, Jitter: 0.5}), 1500 * time.Millisecond, noEnd},
		"no growth":                          {retry.AtMost(11, retry.Exponential{Initial: s, Multiplier: 1, Jitter: -1}), 10 * s, noEnd},
		"more attempts than a life is long":  {retry.AtMost(math.MaxInt-1, steady), math.MaxInt64, noEnd},
		"within":                             {retry.Within(h, steady), h, h},
		"within, ended by attempts":          {retry.Within(h, retry.AtMost(3, steady)), 3 * s, h},
		"attempts, ended by within":          {retry.AtMost(1000, retry.Within(m, steady)), m, m},
		"within within":                      {retry.Within(h, retry.Within(m, steady)), m, m},
		"within a negative time":             {retry.Within(-h, steady), 0, 0},
		"fixed":                              {retry.Fixed{Interval: m}, noEnd, noEnd},
		"fixed, at once":                     {retry.Fixed{}, noEnd, noEnd},
		"fixed, bounded by attempts":         {retry.AtMost(4, retry.Fixed{Interval: m}), 3 * m, noEnd},
		"fixed for a time":                   {retry.Fixed{Interval: m, For: h}, h, h},
		"fixed for a time, ended by number":  {retry.AtMost(4, retry.Fixed{Interval: m, For: h}), 3 * m, h},
		"fixed, the longest interval":        {retry.AtMost(4, retry.Fixed{Interval: math.MaxInt64}), math.MaxInt64, noEnd},
		"schedule":                           {retry.Schedule{h, s, m}, s + m, noEnd},
		"schedule, bounded by attempts":      {retry.AtMost(2, retry.Schedule{h, s, m}), s, noEnd},
		"empty schedule":                     {retry.Schedule{}, 0, noEnd},
		"schedule with a negative pause":     {retry.Schedule{0, -h, m}, m, noEnd},
		"schedule longer than a duration is": {retry.Schedule{0, math.MaxInt64, h}, math.MaxInt64, noEnd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			optional := func(d time.Duration, ok bool) time.Duration {
				if !ok {
					return noEnd
				}
				return d
			}
			assert.Equal(t, tc.span, optional(retry.Span(tc.policy)), "span")
			assert.Equal(t, tc.deadline, optional(retry.Deadline(tc.policy)), "deadline")
		})
	}
}

// policyOf makes a policy of this package from random numbers.
func policyOf(r *rand.Rand) retry.Policy {
	d := func(limit time.Duration) time.Duration { return time.Duration(r.Int64N(int64(limit))) }
	var p retry.Policy
	switch r.IntN(4) {
	case 0:
		p = retry.Exponential{Initial: d(time.Hour), Max: d(4 * time.Hour), Multiplier: 3 * r.Float64(), Jitter: 2*r.Float64() - 0.5}
	case 1:
		p = retry.Fixed{Interval: d(time.Hour), For: d(48 * time.Hour)}
	case 2:
		all := make(retry.Schedule, r.IntN(12))
		for i := range all {
			all[i] = d(10 * time.Hour)
		}
		p = all
	default:
		p = retry.Never{}
	}
	if r.IntN(2) == 0 {
		p = retry.Within(d(48*time.Hour), p)
	}
	if _, ends := retry.Span(p); !ends || r.IntN(2) == 0 {
		p = retry.AtMost(r.IntN(30), p)
	}
	return p
}

// When attempts take no time, the last one begins no later than Span says.
func TestPoliciesEndWithinTheirSpan(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := policyOf(r)
		span, ends := retry.Span(p)
		require.True(t, ends)
		var elapsed time.Duration
		for attempt := 1; attempt < 1000; attempt++ {
			d, ok := p.Next(retry.Failure{Attempt: attempt, Elapsed: elapsed, Err: errBoom})
			if !ok {
				break
			}
			elapsed += d
		}
		require.LessOrEqual(t, elapsed, span+time.Microsecond, "seed %d, %#v", seed, p)
	}
}

func TestLongestDurationsDoNotOverflow(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	for name, tc := range map[string]struct {
		policy retry.Policy
		again  bool
	}{
		"fixed":                 {retry.Fixed{Interval: longest}, true},
		"fixed for a time":      {retry.Fixed{Interval: longest, For: time.Hour}, false},
		"fixed forever":         {retry.Fixed{Interval: time.Hour, For: longest}, true},
		"within":                {retry.Within(time.Hour, retry.Fixed{Interval: longest}), false},
		"exponential":           {retry.Exponential{Initial: longest, Max: longest, Jitter: 1}, true},
		"exponential, far out":  {retry.Exponential{Max: longest, Multiplier: 1e300, Jitter: 1}, true},
		"exponential in a time": {retry.Within(time.Hour, retry.Exponential{Initial: longest, Max: longest, Jitter: -1}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, elapsed := range []time.Duration{0, time.Minute, longest, -longest} {
				for range 50 {
					d, ok := tc.policy.Next(retry.Failure{Attempt: 900, Elapsed: elapsed})
					assert.GreaterOrEqual(t, d, time.Duration(0))
					if elapsed < longest {
						assert.Equal(t, tc.again, ok, "elapsed %v", elapsed)
					}
				}
			}
		})
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, tc := range map[string]struct {
		named, policy, remaining, want time.Duration
	}{
		"no wish":                           {0, m, h, m},
		"a shorter wish":                    {s, m, h, m},
		"a longer wish":                     {10 * m, m, h, 10 * m},
		"without end":                       {365 * 24 * h, m, -1, 365 * 24 * h},
		"a day, with a day left":            {24 * h, s, 24 * h, 24*h - 5*m},
		"an hour, with an hour left":        {h, s, h, 55 * m},
		"an hour, with ten seconds left":    {h, s, 10 * s, 9 * s},
		"less than the precision left":      {h, 0, s / 10, 0},
		"nothing left":                      {h, 0, 0, 0},
		"the policy's own pause is not cut": {h, 50 * m, 51 * m, 50 * m},
		"a negative pause of a policy":      {0, -h, h, 0},
		"longest":                           {math.MaxInt64, 0, math.MaxInt64, math.MaxInt64 - 5*m},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := retry.Result{Verdict: retry.VerdictTransient, Delay: tc.named}
			assert.Equal(t, tc.want, r.Pause(tc.policy, tc.remaining, s))
		})
	}
}

// No pause that is asked for puts an attempt past the end while one would have fit, nor before the policy's time.
func FuzzPause(f *testing.F) {
	f.Add(int64(86400e9), int64(1e9), int64(3600e9), int64(2e9))
	f.Add(int64(math.MaxInt64), int64(0), int64(math.MaxInt64), int64(0))
	f.Add(int64(1), int64(-1), int64(0), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, named, policy, remaining, precision int64) {
		r := retry.Result{Verdict: retry.VerdictTransient, Delay: max(time.Duration(named), 0)}
		own, left := max(time.Duration(policy), 0), time.Duration(remaining)
		got := r.Pause(time.Duration(policy), left, max(time.Duration(precision), 0))
		if got < own {
			t.Fatalf("pause %v is shorter than the policy's %v", got, own)
		}
		if got > max(own, r.Delay) {
			t.Fatalf("pause %v is longer than both", got)
		}
		if left >= 0 && own <= left && got > left {
			t.Fatalf("pause %v passes the end in %v, though an attempt after %v would have fit", got, left, own)
		}
	})
}

// Whatever somebody asks for: no attempt of Do begins after the end of the policy, and the delivery gets another try
// before.
func TestDoKeepsTheEndOfThePolicy(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	for name, p := range map[string]retry.Policy{
		"within": retry.Within(15*m, retry.Exponential{}), "fixed": retry.Fixed{Interval: m, For: 15 * m},
		"bounded by attempts too": retry.AtMost(50, retry.Within(15*m, retry.Fixed{Interval: m})),
	} {
		for asks, err := range map[string]error{"delay": retry.Delay(errBoom, 30*m), "throttle": retry.Throttle(errBoom, 24*60*m)} {
			t.Run(name+", "+asks, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls, got := run(t.Context(), p, err)
					require.ErrorIs(t, got, errBoom)
					require.Greater(t, len(calls), 1, "the wish does not cost the attempts")
					assert.Greater(t, calls[1], 10*m, "but it is heard")
					assert.LessOrEqual(t, calls[len(calls)-1], 15*m)
				})
			})
		}
	}
}

func TestDoCutsAPostponedRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, err := run(t.Context(), retry.Fixed{Interval: time.Minute, For: 15 * time.Minute}, errBoom, retry.Postpone(errBoom, time.Hour), nil)
		require.NoError(t, err)
		assert.Len(t, calls, 3)
		assert.LessOrEqual(t, calls[2], 15*time.Minute)
	})
}
