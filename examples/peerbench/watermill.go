package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/tocsin-go/tocsin/event"
)

const watermillTopic = "notes"

// watermillChannelBus is Watermill's GoChannel with a subscription for each receiver, buffered.
func watermillChannelBus() busMaker {
	return busMaker{
		name: "Watermill GoChannel", callers: 1, part: 5,
		traits: busTraits{"a nack: again at once, for ever", "none but that", "none", "nobody", "none: goroutines pile up"},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			pubsub := newGoChannel()
			for _, s := range sinks {
				messages, err := pubsub.Subscribe(context.Background(), watermillTopic)
				if err != nil {
					return bus{}, err
				}
				go func() {
					for m := range messages {
						if s(m.Context(), m.UUID) == nil {
							m.Ack()
						} else {
							m.Nack()
						}
					}
				}()
			}
			return bus{publish: watermillPublish(pubsub, events), close: pubsub.Close}, nil
		},
	}
}

// watermillRouterBus is a Router above it, with the middleware its documentation begins with.
func watermillRouterBus() busMaker {
	return busMaker{
		name: nameRouter, callers: 1, part: 10,
		traits: busTraits{
			"logged; a nack", "middleware: asleep in the handler, then a nack", "middleware, not used here",
			"nobody", "none: goroutines pile up",
		},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			pubsub := newGoChannel()
			router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
			if err != nil {
				return bus{}, err
			}
			retry := middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond}
			router.AddMiddleware(middleware.CorrelationID, retry.Middleware, middleware.Recoverer)
			for i, s := range sinks {
				router.AddConsumerHandler(fmt.Sprint("sink-", i), watermillTopic, pubsub, func(m *message.Message) error {
					return s(m.Context(), m.UUID)
				})
			}
			ran := make(chan error, 1)
			go func() { ran <- router.Run(context.Background()) }()
			<-router.Running()
			return bus{
				publish: watermillPublish(pubsub, events),
				close:   func() error { return errors.Join(router.Close(), <-ran, pubsub.Close()) },
			}, nil
		},
	}
}

func newGoChannel() *gochannel.GoChannel {
	return gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: inFlight}, watermill.NopLogger{})
}

func watermillPublish(pubsub *gochannel.GoChannel, events []event.Event) func(context.Context, int) error {
	messages := make([]*message.Message, len(events))
	for i, e := range events {
		messages[i] = message.NewMessage(e.ID(), message.Payload(e.JSON()))
	}
	return func(_ context.Context, n int) error { return pubsub.Publish(watermillTopic, messages[n]) }
}
