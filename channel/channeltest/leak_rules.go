package channeltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

func leakRules() []rule {
	return []rule{
		{"no secret", "No credential and no secret part of a URL is in an error, a receipt, or the channel or a copy of it when it is printed.",
			checkSecrets},
		{"no goroutine", "When the channel is closed, no goroutine it started is left.",
			checkGoroutines},
	}
}

func checkSecrets(t *testing.T, s Suite) {
	if len(s.Secrets) == 0 {
		t.Log("not checked: Suite.Secrets is empty")
		return
	}
	for _, a := range answers() {
		c, ok := s.open(t, a)
		if !ok {
			continue
		}
		r := tryOut(t, c, a, sample())
		s.search(t, a, "the error", printError(r.err)...)
		s.search(t, a, "the receipt", printReceipt(r.receipt))
		s.search(t, a, "the printed channel", printCopies(c)...)
	}
}

// search reports secrets by their position in the suite, never by their value.
func (s Suite) search(t *testing.T, a Answer, where string, texts ...string) {
	t.Helper()
	for i, secret := range s.Secrets {
		if form := findSecret(secret, texts); form != "" {
			t.Errorf("%s: %s holds Suite.Secrets[%d] (%s)", a, where, i, form)
		}
	}
}

// checkGoroutines finds the goroutines by a profiler label, which they inherit from the goroutine that starts them.
// Unlike a comparison of all stacks it is not confused by tests that run at the same time.
func checkGoroutines(t *testing.T, s Suite) {
	const key = "channeltest"
	label := rand.Text()
	for _, a := range answers() {
		// A sub-test of its own, because its end runs the cleanups: the channel and the destination are closed then.
		t.Run(a.String(), func(t *testing.T) {
			pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels(key, label)))
			c, ok := s.open(t, a)
			if !ok {
				return
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { tryOut(t, c, a, request(t, "no goroutine", event.Meta{})) })
			}
			wg.Wait()
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if left := awaitEnd(ctx, `"`+key+`":"`+label+`"`); left != "" {
		t.Errorf("left %v after the channel and its destination were closed:\n%s", soon, left)
	}
}

// awaitEnd returns "" once no goroutine with the label is left, or when ctx is done the stacks of those that are. It
// has to poll: the runtime tells nobody that a goroutine has ended.
func awaitEnd(ctx context.Context, label string) string {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(label)
		if left == "" {
			return ""
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left
		}
	}
}

// labelled returns the stacks of the goroutines with the label.
func labelled(label string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return "the goroutine profile cannot be read: " + err.Error()
	}
	var left []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, label) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
