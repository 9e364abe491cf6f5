package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// tocsinWebhook is the channel alone.
func tocsinWebhook() senderMaker {
	return senderMaker{
		name: "Tocsin, channel/webhook alone",
		traits: senderTraits{
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
					_, err := hook.Send(ctx, channel.Delivery{Event: e, Route: "on-call", Attempt: 1})
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
