package channeltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
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

func cancellationRules() []rule {
	return []rule{
		{"own timeout", "When the attempt's own timeout ends it, Send returns soon with a transient error.",
			checkOwnTimeout},
		{"cancelled", "When the caller cancels an attempt, Send returns soon with an error that counts as postponed.",
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

func eventRules() []rule {
	return []rule{
		{"concurrency", "Send is called from many goroutines at once, and each sends its own event.",
			checkConcurrency},
		{"event unchanged", "Send does not modify the event it is given, whatever the destination answers.",
			checkUnchanged},
		{"same delivery again", "The same Delivery may come again: delivery is at least once.",
			checkAgain},
		{"every event", "Every event of the catalogue can be sent.",
			checkCatalogue},
		{"hostile text", "No text in an event keeps it from being sent, and without a tenant, subject or source it is complete.",
			checkHostile},
		{"no event", "Send does not panic when it is given a Delivery without an event.",
			checkNoEvent},
	}
}

func checkConcurrency(t *testing.T, s Suite) {
	c, ok := s.open(t, Accepted)
	if !ok {
		return
	}
	const goroutines = 64
	deliveries := make([]channel.Delivery, goroutines)
	receipts := make([]channel.Receipt, goroutines)
	for i := range deliveries {
		deliveries[i] = request(t, "reason "+strconv.Itoa(i), event.Meta{})
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, d := range deliveries {
		wg.Go(func() {
			<-start
			receipts[i] = succeed(t, c, d)
		})
	}
	close(start)
	wg.Wait()
	for i, r := range receipts {
		if r.Request == nil {
			continue
		}
		for j, d := range deliveries {
			if i != j && bytes.Contains(r.Request.Body, []byte(d.Event.ID())) {
				t.Errorf("the receipt of goroutine %d shows the request of goroutine %d", i, j)
			}
		}
	}
}

func checkUnchanged(t *testing.T, s Suite) {
	for _, a := range answers() {
		c, ok := s.open(t, a)
		if !ok {
			continue
		}
		d := request(t, "unchanged", event.Meta{Attributes: map[string]string{"external_key": "K-17"}})
		data, form := bytes.Clone(d.Event.Data()), bytes.Clone(d.Event.JSON())
		attemptAny(t, c, a, d)
		if !bytes.Equal(data, d.Event.Data()) {
			t.Errorf("%s: the bytes of Event.Data() have changed", a)
		}
		if !bytes.Equal(form, d.Event.JSON()) {
			t.Errorf("%s: the bytes of Event.JSON() have changed", a)
		}
	}
}

func checkAgain(t *testing.T, s Suite) {
	c, ok := s.open(t, Accepted)
	if !ok {
		return
	}
	d := request(t, "again", event.Meta{})
	succeed(t, c, d)
	succeed(t, c, d)
	d.Attempt = 2
	succeed(t, c, d)
	d.Attempt, d.Generation = 1, 1
	succeed(t, c, d)
}

func checkCatalogue(t *testing.T, s Suite) {
	c, ok := s.open(t, Accepted)
	if !ok {
		return
	}
	for _, typ := range event.Catalogue() {
		succeed(t, c, sampleOf(typ))
	}
}

func checkHostile(t *testing.T, s Suite) {
	c, ok := s.open(t, Accepted)
	if !ok {
		return
	}
	for _, text := range []string{
		"", `"`, `\`, `","admin":true,"x":"`, "line\nfeed\r\nX-Injected: 1\r\n\r\n.\r\n", "\x00\x1b[31m", "\u202e\u2028",
		"<!channel> <https://evil.example|Approve> &lt;", "{{#each data}}{{/each}} %%User%% ${HOME}", "é𝄞 \xff\xfe",
		strings.Repeat("long ", 2000),
	} {
		succeed(t, c, request(t, text, event.Meta{}))
	}
}

func checkNoEvent(t *testing.T, s Suite) {
	if c, ok := s.open(t, Accepted); ok {
		attempt(t.Context(), t, c, channel.Delivery{})
	}
}

func receiptRules() []rule {
	return []rule{
		{"receipt", "The Receipt is valid after a success and after an error, as far as the exchange went.",
			checkReceipts},
		{"receipt unchanged", "A Receipt and what it points to are not modified after Send returned.",
			checkReceiptUnchanged},
	}
}

// attemptAny makes an attempt with any outcome. It does not wait long for a silent destination.
func attemptAny(t *testing.T, c channel.Channel, a Answer, d channel.Delivery) result {
	t.Helper()
	ctx := t.Context()
	if a == Silent {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hangTime)
		defer cancel()
	}
	return attempt(ctx, t, c, d)
}

func checkReceipts(t *testing.T, s Suite) {
	for _, a := range answers() {
		c, ok := s.open(t, a)
		if !ok {
			continue
		}
		r := attemptAny(t, c, a, sample())
		if r.receipt.Duration < 0 || r.receipt.Status < 0 {
			t.Errorf("%s: duration %v and status %d must not be negative", a, r.receipt.Duration, r.receipt.Status)
		}
		if r.err != nil && r.receipt.Skipped {
			t.Errorf("%s: the receipt of an error says that the event was skipped", a)
		}
		if a == Accepted && r.receipt.OutcomeUnknown {
			t.Errorf("%s: the destination has taken the event and the receipt says that the outcome is unknown", a)
		}
	}
}

func checkReceiptUnchanged(t *testing.T, s Suite) {
	for _, a := range answers() {
		c, ok := s.open(t, a)
		if !ok {
			continue
		}
		first := attemptAny(t, c, a, sample()).receipt
		before := printReceipt(first)
		attemptAny(t, c, a, sampleOf(event.TypeGrantActive))
		if printReceipt(first) != before {
			t.Errorf("%s: the receipt of the first attempt has changed with the second", a)
		}
	}
}

// printReceipt shows all that a receipt holds.
func printReceipt(r channel.Receipt) string {
	text := fmt.Sprintf("%+v", r)
	for _, m := range []*channel.Message{r.Request, r.Response} {
		if m != nil {
			text += fmt.Sprintf(" %+v %s", *m, m.Body)
		}
	}
	return text
}
