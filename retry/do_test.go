package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run calls Do with a function that returns answers one after the other (the last one forever) and reports when, since
// the start, each call was made.
func run(ctx context.Context, p retry.Policy, answers ...error) (calls []time.Duration, err error) {
	began := time.Now()
	err = retry.Do(ctx, p, func(context.Context) error {
		calls = append(calls, time.Since(began))
		return answers[min(len(calls), len(answers))-1]
	})
	return calls, err
}

func TestDo(t *testing.T) {
	t.Parallel()
	every := retry.AtMost(4, retry.Fixed{Interval: time.Second})
	final := retry.Permanent(errBoom)
	s := time.Second
	for name, tc := range map[string]struct {
		policy  retry.Policy
		answers []error
		calls   []time.Duration
		err     error
	}{
		"success at once":             {every, []error{nil}, []time.Duration{0}, nil},
		"success at the third":        {every, []error{errBoom, errBoom, nil}, []time.Duration{0, s, 2 * s}, nil},
		"policy gives up":             {every, []error{errBoom}, []time.Duration{0, s, 2 * s, 3 * s}, errBoom},
		"permanent stops":             {every, []error{errBoom, final}, []time.Duration{0, s}, errBoom},
		"delay of the other side":     {every, []error{retry.Delay(errBoom, 9*s), nil}, []time.Duration{0, 9 * s}, nil},
		"shorter delay does not pull": {every, []error{retry.Delay(errBoom, 1), nil}, []time.Duration{0, s}, nil},
		"postponed is not counted": {retry.Never{}, []error{retry.Postpone(errBoom, 2*s), retry.Postpone(errBoom, 2*s), nil},
			[]time.Duration{0, 2 * s, 4 * s}, nil},
		"bound by time": {retry.Fixed{Interval: 2 * s, For: 5 * s}, []error{errBoom}, []time.Duration{0, 2 * s, 4 * s}, errBoom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls, err := run(t.Context(), tc.policy, tc.answers...)
				assert.Equal(t, tc.calls, calls)
				require.ErrorIs(t, err, tc.err)
			})
		})
	}
}

func TestDoKeepsTheMark(t *testing.T) {
	t.Parallel()
	_, err := run(t.Context(), retry.Never{}, retry.Permanent(errBoom))
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
}

// The time of a policy begins with the first attempt that counts, however long that was postponed.
func TestDoCountsFromTheFirstAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		later := retry.Postpone(errBoom, time.Hour)
		calls, err := run(t.Context(), retry.Within(time.Minute, retry.Fixed{Interval: time.Second}), later, later, errBoom, errBoom, nil)
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{0, time.Hour, 2 * time.Hour, 2*time.Hour + time.Second, 2*time.Hour + 2*time.Second}, calls)
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		calls, err := run(ctx, retry.Fixed{Interval: time.Minute}, errBoom)
		assert.Len(t, calls, 2)
		require.ErrorIs(t, err, errBoom, "the failure must not be hidden by the context's error")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := retry.Do(ctx, retry.Fixed{}, func(ctx context.Context) error {
			cancel()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, errBoom)
	})
}
