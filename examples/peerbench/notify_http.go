package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/nikoksr/notify"
	notifyhttp "github.com/nikoksr/notify/service/http"

	"github.com/tocsin-go/tocsin/event"
)

// notifySender is notify's HTTP service with a tuned http.Client. Its requests share one header, so it is complete
// before the first, which would write to it otherwise.
func notifySender() senderMaker {
	return senderMaker{
		name:   "nikoksr/notify, http service, tuned",
		traits: senderTraits{"marshalled once more", "no", "text, with the URL", "no", "no", "no"},
		open: func(target string) (sender, error) {
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			service := notifyhttp.New()
			service.WithClient(client)
			service.AddReceivers(&notifyhttp.Webhook{
				URL: target, Method: http.MethodPost, ContentType: "application/json",
				Header:       http.Header{"Content-Type": {"application/json"}, "User-Agent": {"peerbench"}},
				BuildPayload: func(_, message string) any { return json.RawMessage(message) },
			})
			n := notify.NewWithServices(service)
			return sender{
				send:  func(ctx context.Context, e event.Event) error { return n.Send(ctx, e.ID(), string(e.JSON())) },
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}
