package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
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
	traits []string
	open   func(url string) (sender, error)
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
		traits:  []string{"body", "signature", "failure", "reads the answer to its end", "checks addresses", "keeps the exchange"},
	}
	for _, m := range []senderMaker{
		roundTrip(), httpClient(true), httpClient(false), standardWebhooks(), tocsinWebhook(),
		cloudEvents(), shoutrrrSender(true), shoutrrrSender(false), notifySender(), watermillSender(), alertmanagerSender(),
	} {
		c.entrants = append(c.entrants, entrant{name: m.name, traits: m.traits, open: func(units int) (worker, error) {
			return openDelivery(units, func(url string) (deliverer, error) {
				s, err := m.open(url)
				return deliverer{deliver: inTurn(s), close: func() error { s.close(); return nil }}, err
			})
		}})
	}
	// After the channel alone, the whole way through an Engine.
	engines := []entrant{
		{name: throughEngine, open: func(units int) (worker, error) { return openDelivery(units, tocsinDeliverer) }},
		{name: throughSQLite, open: func(units int) (worker, error) { return openDelivery(units, durableDeliverer) }},
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

// tocsinWebhook is the channel alone.
func tocsinWebhook() senderMaker {
	return senderMaker{
		name: "Tocsin, channel/webhook alone",
		traits: []string{
			"as given, or one of five kinds", "Standard Webhooks", "typed: kind, verdict, when to come back", "up to 64 KiB", "each, when connecting",
			"both ways, redacted",
		},
		open: func(target string) (sender, error) {
			hook, err := newTocsinWebhook(target)
			if err != nil {
				return sender{}, err
			}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					_, err := hook.Send(ctx, channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
					return err
				},
				close: func() { _ = hook.Close() },
			}, nil
		},
	}
}

func newTocsinWebhook(target string) (*webhook.Channel, error) {
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	return webhook.New(webhook.Config{
		URL: target, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
		Sign: webhook.Sign(signature.Standard, webhook.SigningKey{Secret: secret.Literal(signingSecret)}),
	})
}

// tocsinDeliverer is an Engine with a route to it: what a product has.
func tocsinDeliverer(target string) (deliverer, error) {
	return engineDeliverer(target, nil, 1)
}

// durableDeliverer is one with ten routes and a queue in a file.
func durableDeliverer(target string) (deliverer, error) {
	dir, err := os.MkdirTemp("", "peerbench")
	if err != nil {
		return deliverer{}, err
	}
	q, err := sqlitequeue.Open(context.Background(), filepath.Join(dir, "queue.db"), sqlitequeue.Options{})
	if err != nil {
		return deliverer{}, errors.Join(err, os.RemoveAll(dir))
	}
	d, err := engineDeliverer(target, q, receivers)
	closeAll := d.close
	d.close = func() error { return errors.Join(closeAll(), q.Close(), os.RemoveAll(dir)) }
	return d, err
}

// engineDeliverer has each event delivered by so many routes to the same target. A nil queue is one in memory.
func engineDeliverer(target string, q queue.Queue, routes int) (deliverer, error) {
	var dead atomic.Int64
	// Room for deliveries that are not settled: enough for senders not to wait for a publisher, and more than all
	// publishers take at a time, or each could wait for what the others have.
	window := make(chan struct{}, max(8*sending, 2*sending*routes))
	publishers := 1
	if q != nil {
		publishers = sending
	}
	var hooks []*webhook.Channel
	config := dispatcher.Config{
		Queue: q, Logger: slog.New(slog.DiscardHandler),
		Observers: []dispatcher.Observer{{Settled: func(s dispatcher.Settlement) {
			if s.Outcome == dispatcher.Dead {
				dead.Add(1)
			}
			<-window
		}}},
	}
	for i := range routes {
		hook, err := newTocsinWebhook(target)
		if err != nil {
			return deliverer{}, err
		}
		hooks = append(hooks, hook)
		config.Routes = append(config.Routes, dispatcher.Route{
			Name: fmt.Sprint("on-call-", i), Channel: hook, Concurrency: max(1, sending/routes),
		})
	}
	engine, err := dispatcher.New(config)
	if err != nil {
		return deliverer{}, err
	}
	stop := runEngine(engine, &dead)
	dispatch := inTurnOf(publishers, sender{send: func(ctx context.Context, e event.Event) error {
		for range routes {
			window <- struct{}{}
		}
		return engine.Dispatch(ctx, e)
	}})
	return deliverer{
		deliver: func(events []event.Event) error {
			if err := dispatch(events[:len(events)/routes]); err != nil {
				return err
			}
			for range cap(window) { // all of it free: everything is settled
				window <- struct{}{}
			}
			for range cap(window) {
				<-window
			}
			return nil
		},
		close: func() error {
			err := stop()
			for _, h := range hooks {
				err = errors.Join(err, h.Close())
			}
			return err
		},
	}, nil
}
