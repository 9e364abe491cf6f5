package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

// sending is how many requests run at a time.
const sending = 64

// sender is a library's way to make an HTTP request of an event.
type sender struct {
	send  func(ctx context.Context, e event.Event) error
	close func()
}

// senderMaker opens one for the given URL.
type senderMaker struct {
	name   string
	traits senderTraits
	open   func(url string) (sender, error)
}

// senderTraits says what a sender does besides making the request.
type senderTraits struct{ body, signature, errors, drains, guard, receipt string }

func senderTraitNames() []string {
	return []string{"body", "signature", "failure", "reads the answer to its end", "checks addresses", "keeps the exchange"}
}

func (t senderTraits) list() []string {
	return []string{t.body, t.signature, t.errors, t.drains, t.guard, t.receipt}
}

// delivery is the contest of sending events to an HTTP receiver.
func delivery(amount int) contest {
	c := contest{
		name:  "http",
		title: "HTTP delivery",
		work: fmt.Sprintf("An event of about 1 KiB as JSON by POST over loopback, %d at a time, to a receiver in another process "+
			"that answers 200 and a small body. The event's JSON is made beforehand, as it is made once for all receivers; "+
			"notify and Alertmanager make their own of it.", sending),
		unit: "delivery", amount: amount, warm: max(amount/10, 2*sending/receivers*receivers),
		metrics: []string{newConnections},
		traits:  senderTraitNames(),
	}
	for _, m := range []senderMaker{
		roundTrip(), httpClient(true), httpClient(false), standardWebhooks(), tocsinWebhook(),
		cloudEvents(), shoutrrrSender(true), shoutrrrSender(false), notifySender(), watermillSender(), alertmanagerSender(),
	} {
		c.entrants = append(c.entrants, entrant{name: m.name, traits: m.traits.list(), open: func(units int) (worker, error) {
			return openDelivery(units, func(url string) (deliverer, error) {
				s, err := m.open(url)
				return deliverer{deliver: inTurn(s), close: func() error { s.close(); return nil }}, err
			})
		}})
	}
	// After the channel alone, the whole way through an Engine.
	engines := []entrant{
		{name: wholeWay, open: func(units int) (worker, error) { return openDelivery(units, tocsinDeliverer) }},
		{name: wholeWayDurable, open: func(units int) (worker, error) { return openDelivery(units, durableDeliverer) }},
	}
	c.entrants = slices.Insert(c.entrants, 5, engines...)
	return c
}

// deliverer delivers a number of events, sending at a time.
type deliverer struct {
	deliver func(events []event.Event) error
	close   func() error
}

func openDelivery(units int, open func(url string) (deliverer, error)) (worker, error) {
	events, err := requests(units)
	if err != nil {
		return worker{}, err
	}
	r, err := startReceiver()
	if err != nil {
		return worker{}, err
	}
	d, err := open(r.url + "/hooks/T0P-S3CRET")
	if err != nil {
		_ = r.close()
		return worker{}, err
	}
	var figures []float64
	return worker{
		do: func(n int) error {
			connections, answered, err := r.counts()
			if err != nil {
				return err
			}
			if err := d.deliver(events[:n]); err != nil {
				return err
			}
			events = events[n:]
			after, total, err := r.counts()
			if err != nil {
				return err
			}
			if total-answered != n {
				return fmt.Errorf("%d requests arrived for %d events", total-answered, n)
			}
			figures = []float64{float64(after-connections) / float64(n) * 1000}
			return nil
		},
		figures: func() []float64 { return figures },
		close: func() error {
			err := d.close()
			if closed := r.close(); err == nil {
				err = closed
			}
			return err
		},
	}, nil
}

// inTurn has as many goroutines as there may be requests at a time call s.
func inTurn(s sender) func(events []event.Event) error { return inTurnOf(sending, s) }

// inTurnOf is inTurn with another number of goroutines.
func inTurnOf(callers int, s sender) func(events []event.Event) error {
	return func(events []event.Event) error {
		var next atomic.Int64
		var once sync.Once
		var failed error
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for n := next.Add(1); n <= int64(len(events)); n = next.Add(1) {
					if err := s.send(context.Background(), events[n-1]); err != nil {
						once.Do(func() { failed = err })
						return
					}
				}
			})
		}
		all.Wait()
		return failed
	}
}

// requests are n events whose JSON is about 1 KiB, and made already.
func requests(n int) ([]event.Event, error) {
	payload, err := requestPayload()
	if err != nil {
		return nil, err
	}
	all := make([]event.Event, n)
	for i := range all {
		if all[i], err = event.New(payload, event.Meta{ID: fmt.Sprint("request-", i), Source: "peerbench"}); err != nil {
			return nil, err
		}
		all[i].JSON()
	}
	return all, nil
}
