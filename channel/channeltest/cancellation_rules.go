package channeltest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
)

func cancellationRules() []rule {
	return []rule{
		{"own timeout", "When the attempt's own timeout ends it, Send returns soon with a transient error.",
			checkOwnTimeout},
		{"cancelled", "When the caller gives up during an attempt, Send returns soon with an error that counts as postponed.",
			checkCancelled},
		{"cancelled before", "With a context that is done already, Send returns soon with an error that counts as postponed.",
			checkCancelledBefore},
	}
}

func checkOwnTimeout(t *testing.T, s Suite) {
	c, ok := s.open(t, Silent)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), hangTime)
	defer cancel()
	wantVerdict(t, attemptSoon(ctx, t, c), retry.VerdictTransient)
}

func checkCancelled(t *testing.T, s Suite) {
	c, ok := s.open(t, Silent)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(hangTime, cancel)
	defer timer.Stop()
	wantPostponed(ctx, t, attemptSoon(ctx, t, c))
}

func checkCancelledBefore(t *testing.T, s Suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if slices.Contains(s.Unsupported, Silent) { // what is sent before anybody looks at ctx is sent
		if c, ok := s.open(t, Accepted); ok {
			wantPostponed(ctx, t, attempt(ctx, t, c, sample()).err)
		}
	} else if c, ok := s.open(t, Silent); ok {
		wantPostponed(ctx, t, attemptSoon(ctx, t, c))
	}
}

// attemptSoon makes an attempt under a context that is done within hangTime.
func attemptSoon(ctx context.Context, t *testing.T, c channel.Channel) error {
	t.Helper()
	err := attempt(ctx, t, c, sample()).err
	if err == nil {
		t.Error("the destination has not answered and Send returned no error")
	} else if ctx.Err() == nil {
		t.Errorf("Send returned before its context was done: %v", err)
	}
	return err
}

func wantPostponed(caller context.Context, t *testing.T, err error) {
	t.Helper()
	if got := retry.Classify(caller, err).Verdict; err != nil && got != retry.VerdictPostponed {
		t.Errorf("the verdict on %s is %s, want %s", describe(err), got, retry.VerdictPostponed)
	}
}
