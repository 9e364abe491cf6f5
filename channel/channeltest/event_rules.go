package channeltest

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

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
		tryOut(t, c, a, d)
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
