package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-go/tocsin/retry"
)

var errBoom = errors.New("boom")

func TestClassify(t *testing.T) {
	t.Parallel()
	live := context.Background()
	done, cancel := context.WithCancel(live)
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		err  error
		want retry.Result
	}{
		"nil":                          {live, nil, retry.Result{}},
		"unmarked":                     {live, errBoom, retry.Result{Verdict: retry.VerdictTransient}},
		"permanent":                    {live, retry.Permanent(errBoom), retry.Result{Verdict: retry.VerdictPermanent}},
		"delay":                        {live, retry.Delay(errBoom, time.Minute), retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute}},
		"negative delay":               {live, retry.Delay(errBoom, -time.Minute), retry.Result{Verdict: retry.VerdictTransient}},
		"throttle":                     {live, retry.Throttle(errBoom, time.Minute), retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute, Throttled: true}},
		"postpone":                     {live, retry.Postpone(errBoom, time.Second), retry.Result{Verdict: retry.VerdictPostponed, Delay: time.Second}},
		"wrapped":                      {live, fmt.Errorf("send: %w", retry.Permanent(errBoom)), retry.Result{Verdict: retry.VerdictPermanent}},
		"outermost mark counts":        {live, retry.Permanent(retry.Delay(errBoom, time.Hour)), retry.Result{Verdict: retry.VerdictPermanent}},
		"attempt's own timeout":        {live, context.DeadlineExceeded, retry.Result{Verdict: retry.VerdictTransient}},
		"shutdown, unmarked":           {done, errBoom, retry.Result{Verdict: retry.VerdictPostponed}},
		"shutdown, after a success":    {done, nil, retry.Result{}},
		"shutdown, permanent all same": {done, retry.Permanent(errBoom), retry.Result{Verdict: retry.VerdictPermanent}},
		"shutdown, delay is kept":      {done, retry.Delay(errBoom, time.Minute), retry.Result{Verdict: retry.VerdictPostponed, Delay: time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, retry.Classify(tc.ctx, tc.err))
		})
	}
}

func TestMarksKeepTheError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{retry.Permanent(errBoom), retry.Delay(errBoom, 1), retry.Throttle(errBoom, 1), retry.Postpone(errBoom, 1)} {
		assert.ErrorIs(t, err, errBoom)
		assert.Equal(t, "boom", err.Error())
	}
	assert.NoError(t, retry.Permanent(nil))
	assert.NoError(t, retry.Delay(nil, 1))
	assert.NoError(t, retry.Throttle(nil, 1))
	assert.NoError(t, retry.Postpone(nil, 1))
}

func TestVerdictString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "success transient permanent postponed unknown",
		fmt.Sprint(retry.VerdictSuccess, " ", retry.VerdictTransient, " ", retry.VerdictPermanent, " ", retry.VerdictPostponed, " ", retry.Verdict(99)))
}
