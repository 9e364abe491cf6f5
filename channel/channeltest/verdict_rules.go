package channeltest

import (
	"errors"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
)

func verdictRules() []rule {
	return []rule{
		{"success", "Send returns nil when the destination has taken the event.",
			verdictRule(Accepted, retry.VerdictSuccess)},
		{"transient", "The error for a destination that cannot take the event now is unmarked, so that the event is tried again.",
			verdictRule(Unavailable, retry.VerdictTransient)},
		{"throttled", "The error of a destination that asks for a pause is marked with retry.Throttle and that pause.",
			checkThrottled},
		{"permanent", "The error of a destination that will never take the event is marked with retry.Permanent.",
			verdictRule(Rejected, retry.VerdictPermanent)},
		{"gone", "The error of a destination that does not exist any more is channel.ErrGone and marked with retry.Permanent.",
			checkGone},
	}
}

func verdictRule(a Answer, want retry.Verdict) func(*testing.T, Suite) {
	return func(t *testing.T, s Suite) {
		t.Helper()
		if c, ok := s.open(t, a); ok {
			wantVerdict(t, attempt(t.Context(), t, c, sample()).err, want)
		}
	}
}

func wantVerdict(t *testing.T, err error, want retry.Verdict) retry.Result {
	t.Helper()
	got := retry.Classify(t.Context(), err)
	if got.Verdict != want {
		t.Errorf("the verdict on %s is %s, want %s", describe(err), got.Verdict, want)
	}
	if want != retry.VerdictSuccess && err != nil && err.Error() == "" {
		t.Error("the error has no text")
	}
	if errors.Is(err, channel.ErrGone) && want != retry.VerdictPermanent {
		t.Errorf("%s is channel.ErrGone, which would end all delivery", describe(err))
	}
	return got
}

func describe(err error) string {
	if err == nil {
		return "no error"
	}
	return "the error \"" + err.Error() + "\""
}

func checkThrottled(t *testing.T, s Suite) {
	c, ok := s.open(t, Throttled)
	if !ok {
		return
	}
	began := time.Now()
	got := wantVerdict(t, attempt(t.Context(), t, c, sample()).err, retry.VerdictTransient)
	// The pause may be given as a date with whole seconds, and part of it passes on the way.
	least := ThrottleDelay - time.Second - time.Since(began)
	if got.Delay < least || got.Delay > ThrottleDelay {
		t.Errorf("the destination asks for %v and the error's delay is %v", ThrottleDelay, got.Delay)
	}
	if !got.Throttled {
		t.Error("the error is not marked with retry.Throttle, so that other deliveries would go on")
	}
}

func checkGone(t *testing.T, s Suite) {
	c, ok := s.open(t, Gone)
	if !ok {
		return
	}
	err := attempt(t.Context(), t, c, sample()).err
	wantVerdict(t, err, retry.VerdictPermanent)
	if !errors.Is(err, channel.ErrGone) {
		t.Errorf("errors.Is(err, channel.ErrGone) is false for %s", describe(err))
	}
}
