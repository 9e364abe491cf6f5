package channeltest

import (
	"io"
	"slices"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
)

// Suite tells [Run] how to make the channel under test.
type Suite struct {
	// New makes a channel whose destination answers every attempt as answer says. It is called several times per class.
	// What it starts for the destination it must end with t.Cleanup; a channel that is an io.Closer is closed before that,
	// by Run. It must not call t.Parallel. Required.
	//
	// Let refusing answers repeat all they were sent, credentials included: that is how a secret gets into an error.
	New func(t *testing.T, answer Answer) channel.Channel
	// Unsupported lists classes the destination does not have. What they leave unchecked is written to the test log.
	// Accepted cannot be left out. A channel that sends one way only and hears of nothing, such as syslog over UDP, lists
	// all others, see [OneWay].
	Unsupported []Answer
	// Secrets are the values New plants in the channel's configuration: tokens, passwords, secret parts of a URL, each
	// with at least 8 characters that occur nowhere else. None may come out of the channel.
	Secrets []string
}

// Run checks that the channels s makes keep the contract of channel.Channel: one sub-test per rule, and the rule is
// printed when it fails. It takes about half a second. Run it with -race as well: without, concurrency is checked only
// by its effects.
func Run(t *testing.T, s Suite) {
	t.Helper()
	s.check(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Cleanup(func() { // registered first, so that it comes after the other cleanups
				if t.Failed() {
					t.Log("rule: " + r.text)
				}
			})
			r.check(t, s)
		})
	}
}

// rule is one statement of channel.Channel's contract.
type rule struct {
	name, text string
	check      func(t *testing.T, s Suite)
}

func rules() []rule {
	return slices.Concat(verdictRules(), cancellationRules(), eventRules(), receiptRules(), leakRules())
}

func (s Suite) check(t *testing.T) {
	t.Helper()
	if s.New == nil {
		t.Fatal("Suite.New is nil: set it to a function that makes the channel")
	}
	for _, a := range s.Unsupported {
		if a == Accepted {
			t.Fatal("Suite.Unsupported holds Accepted, which every destination has: remove it")
		}
	}
	for i, secret := range s.Secrets {
		if len(secret) < minSecret {
			t.Fatalf("Suite.Secrets[%d] is shorter than %d characters and would be found by chance: plant a longer one", i, minSecret)
		}
	}
}

// open returns a channel whose destination answers as a says, or false, after a line in the log, when there is none.
func (s Suite) open(t *testing.T, a Answer) (channel.Channel, bool) {
	t.Helper()
	if slices.Contains(s.Unsupported, a) {
		t.Logf("not checked: the destination is declared to have no answer of class %s", a)
		return nil, false
	}
	c := s.New(t, a)
	if c == nil {
		t.Fatalf("Suite.New returned nil for %s: return a channel, or list the class in Unsupported", a)
	}
	if closer, ok := c.(io.Closer); ok {
		t.Cleanup(func() {
			if err := closer.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return c, true
}
