package main

import (
	"context"

	"github.com/nikoksr/notify"

	"github.com/tocsin-go/tocsin/event"
)

// notifyBus is github.com/nikoksr/notify with a service for each receiver. It waits for all of them.
func notifyBus() busMaker {
	return busMaker{
		name: nameNotify, callers: waitingCallers,
		traits: busTraits{"the first, the others lost", "none", "the caller's", "every caller that met it", "the callers"},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			n := notify.New()
			for _, s := range sinks {
				n.UseServices(notifyService(s))
			}
			messages := make([]string, len(events))
			for i, e := range events {
				messages[i] = string(e.JSON())
			}
			return bus{
				publish: func(ctx context.Context, i int) error { return n.Send(ctx, events[i].ID(), messages[i]) },
				close:   func() error { return nil },
			}, nil
		},
	}
}

// notifyService makes a service of a sink.
type notifyService sink

// Send implements notify.Notifier.
func (s notifyService) Send(ctx context.Context, subject, _ string) error { return s(ctx, subject) }
