package main

import (
	"context"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cloudeventshttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/tocsin-go/tocsin/event"
)

// cloudEvents is the CloudEvents SDK in binary mode, its default, with a tuned http.Client.
func cloudEvents() senderMaker {
	return senderMaker{
		name:   "CloudEvents SDK, tuned",
		traits: senderTraits{"CloudEvents, binary: the data as given", "no", "status in text; retries if asked for", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			protocol, err := cloudevents.NewHTTP(cloudevents.WithTarget(target), cloudeventshttp.WithClient(client))
			if err != nil {
				return sender{}, err
			}
			c, err := cloudevents.NewClient(protocol)
			if err != nil {
				return sender{}, err
			}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					ce := cloudevents.NewEvent()
					ce.SetID(e.ID())
					ce.SetSource(e.Source())
					ce.SetType(string(e.Type()))
					ce.SetTime(e.Time())
					if err := ce.SetData(cloudevents.ApplicationJSON, e.Data()); err != nil {
						return err
					}
					if result := c.Send(ctx, ce); !cloudevents.IsACK(result) {
						return result
					}
					return nil
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}
