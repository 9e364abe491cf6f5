package channeltest

import (
	"context"
	"fmt"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

func receiptRules() []rule {
	return []rule{
		{"receipt", "The Receipt is valid after a success and after an error, as far as the exchange went.",
			checkReceipts},
		{"receipt unchanged", "A Receipt and what it points to are not modified after Send returned.",
			checkReceiptUnchanged},
	}
}

// tryOut makes an attempt with any outcome. It does not wait long for a silent destination.
func tryOut(t *testing.T, c channel.Channel, a Answer, d channel.Delivery) result {
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
		r := tryOut(t, c, a, sample())
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
		first := tryOut(t, c, a, sample()).receipt
		before := printReceipt(first)
		tryOut(t, c, a, sampleOf(event.TypeGrantActive))
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
