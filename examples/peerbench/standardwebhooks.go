package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-go/tocsin/event"
)

// signingSecret is the secret of everybody who signs.
const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// standardWebhooks is the reference library of Standard Webhooks with a tuned http.Client.
func standardWebhooks() senderMaker {
	return senderMaker{
		name:   "standard-webhooks and http.Client, tuned",
		traits: senderTraits{"as given", "Standard Webhooks", "status, by hand", "by hand", "no", "no"},
		open: func(target string) (sender, error) {
			hook, err := standardwebhooks.NewWebhook(signingSecret)
			if err != nil {
				return sender{}, err
			}
			client := &http.Client{Timeout: 30 * time.Second, Transport: tunedTransport()}
			return sender{
				send: func(ctx context.Context, e event.Event) error {
					request, err := newPost(ctx, target, e)
					if err != nil {
						return err
					}
					now := time.Now()
					signature, err := hook.Sign(e.ID(), now, e.JSON())
					if err != nil {
						return err
					}
					request.Header.Set(standardwebhooks.HeaderWebhookID, e.ID())
					request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
					request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
					return drained(client.Do(request))
				},
				close: client.CloseIdleConnections,
			}, nil
		},
	}
}
