package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/dispatcher"
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
	hook, err := newTocsinWebhook(target)
	if err != nil {
		return deliverer{}, err
	}
	var dead atomic.Int64
	var window chan struct{}
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: []dispatcher.Route{{Name: "on-call", Channel: hook, Concurrency: sending}},
		Logger: slog.New(slog.DiscardHandler),
		Observers: []dispatcher.Observer{{Settled: func(s dispatcher.Settlement) {
			if s.Result == dispatcher.DeadLetter {
				dead.Add(1)
			}
			<-window
		}}},
	})
	if err != nil {
		return deliverer{}, err
	}
	stop := runEngine(engine, &dead)
	return deliverer{
		deliver: func(events []event.Event) error {
			window = make(chan struct{}, sending)
			for _, e := range events {
				window <- struct{}{}
				if err := engine.Dispatch(context.Background(), e); err != nil {
					return err
				}
			}
			for range sending { // all of it free again: everything is settled
				window <- struct{}{}
			}
			return nil
		},
		close: func() error {
			defer hook.Close()
			return stop()
		},
	}, nil
}
