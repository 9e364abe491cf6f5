// Package channeltest helps to test code that uses or implements channel.Channel: [Recorder] is a fake destination for
// tests of dispatching code, [Run] is the conformance suite for an own channel, and [RunLeaks] checks that none of its
// credentials leaves it.
//
// The packages below it are the other ends of the library's channels, as servers on loopback that keep what they get
// and answer as a test says: webhooktest, slacktest and smtptest. With them a host tests its real channels and
// documents.
package channeltest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

// Suite tells [Run] how to make the channel under test.
type Suite struct {
	// New makes a channel whose destination answers every attempt as answer says. It is called several times per class.
	// What it starts for the destination it must end with t.Cleanup; a channel that is an io.Closer is closed before
	// that, by Run. It must not call t.Parallel. Required.
	//
	// Let refusing answers repeat all they were sent, credentials included: that is how a secret gets into an error.
	New func(t *testing.T, answer Answer) channel.Channel
	// Unsupported lists classes the destination does not have. What they leave unchecked is written to the test log.
	// Accepted cannot be left out. A channel that sends one way only and hears of nothing, such as syslog over UDP,
	// lists all others, see [OneWay].
	Unsupported []Answer
	// Secrets are the values New plants in the channel's configuration: tokens, passwords, secret parts of a URL, each
	// with at least 8 characters that occur nowhere else. None may leave the channel.
	Secrets []string
}

// Run checks that the channels s makes keep the contract of channel.Channel: one sub-test per rule, and the rule is
// printed when it fails. It takes about half a second. Run it with -race as well: without, concurrency is checked only
// by its effects.
func Run(t *testing.T, s Suite) {
	t.Helper()
	s.validate(t)
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

func (s Suite) validate(t *testing.T) {
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
		t.Logf("not checked: the destination is declared to have no response of class %s", a)
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

// Answer is a class of what a destination may do with an event.
type Answer uint8

// The classes. The verdict that the channel's error must have follows each.
const (
	Accepted    Answer = iota // takes the event: no error
	Unavailable               // cannot take it now, for example HTTP 503: transient
	Throttled                 // wants no other attempt before ThrottleDelay has passed: transient, with that delay
	Rejected                  // will never take this event, for example HTTP 400: permanent
	Gone                      // does not exist any more, for example HTTP 410: permanent, and channel.ErrGone
	Silent                    // takes the connection, or the request, and never answers
)

// ThrottleDelay is what a [Throttled] destination asks for.
const ThrottleDelay = 90 * time.Second

func answers() []Answer { return []Answer{Accepted, Unavailable, Throttled, Rejected, Gone, Silent} }

// OneWay lists the classes that a destination does not have when nothing comes back from it, for Unsupported: all but
// Accepted. Send then returns without a response to wait for.
func OneWay() []Answer { return []Answer{Unavailable, Throttled, Rejected, Gone, Silent} }

// String returns the name of the class.
func (a Answer) String() string {
	switch a {
	case Accepted:
		return "Accepted"
	case Unavailable:
		return "Unavailable"
	case Throttled:
		return "Throttled"
	case Rejected:
		return "Rejected"
	case Gone:
		return "Gone"
	case Silent:
		return "Silent"
	}
	return "Answer(" + strconv.Itoa(int(a)) + ")"
}

const (
	sendTimeout   = 10 * time.Second      // for an attempt that is not cancelled
	returnTimeout = 2 * time.Second       // for Send to return after its context is done
	hangTime      = 50 * time.Millisecond // how long a silent destination is waited for
)

// result is what one attempt came to.
type result struct {
	receipt channel.Receipt
	err     error
}

// attempt calls Send and guards the suite from what a broken channel does: a panic and a Send that outlives its context
// fail the test instead of ending or hanging the process.
func attempt(ctx context.Context, t *testing.T, c channel.Channel, d channel.Delivery) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		r.receipt, r.err = channel.Recover(c).Send(ctx, d)
		done <- r
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		late := time.NewTimer(returnTimeout)
		defer late.Stop()
		select {
		case r = <-done:
		case <-late.C:
			t.Errorf("Send has not returned %v after its context was done", returnTimeout)
			return result{err: ctx.Err()}
		}
	}
	if p, ok := errors.AsType[*channel.PanicError](r.err); ok {
		t.Errorf("Send: %v", p)
	}
	return r
}

// succeed makes an attempt that has to succeed.
func succeed(t *testing.T, c channel.Channel, d channel.Delivery) channel.Receipt {
	t.Helper()
	r := attempt(t.Context(), t, c, d)
	if r.err != nil {
		t.Errorf("the destination takes the event and Send of %v returned: %v", d.Event, r.err)
	}
	return r.receipt
}

// sample is a realistic delivery.
func sample() channel.Delivery { return sampleOf(event.TypeRequestPending) }

func sampleOf(typ event.Type) channel.Delivery {
	e, _ := event.Sample(typ)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "channeltest"}, Attempt: 1}
}

// request is a delivery of a new event with the given justification.
func request(t *testing.T, justification string, m event.Meta) channel.Delivery {
	t.Helper()
	p, err := event.Decode[event.RequestPending](sample().Event)
	if err != nil {
		t.Fatalf("the sample cannot be decoded: %v", err)
	}
	p.Justification = justification
	e, err := event.New(p, m)
	if err != nil {
		t.Fatalf("the event cannot be made: %v", err)
	}
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "channeltest"}, Attempt: 1}
}
