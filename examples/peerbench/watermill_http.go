package main

import (
	"context"
	"net/http"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillhttp "github.com/ThreeDotsLabs/watermill-http/v2/pkg/http"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tocsin-go/tocsin/event"
)

// watermillSender is watermill-http's publisher with a tuned http.Client.
func watermillSender() senderMaker {
	return senderMaker{
		name:   "watermill-http, tuned",
		traits: senderTraits{"as given", "no", "text; 3xx is success", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			publisher, err := watermillhttp.NewPublisher(watermillhttp.PublisherConfig{
				MarshalMessageFunc: watermillhttp.DefaultMarshalMessageFunc, Client: client,
			}, watermill.NopLogger{})
			if err != nil {
				return sender{}, err
			}
			return sender{
				send: func(_ context.Context, e event.Event) error {
					return publisher.Publish(target, message.NewMessage(e.ID(), message.Payload(e.JSON())))
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}
