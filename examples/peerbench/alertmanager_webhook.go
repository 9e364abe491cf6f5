package main

import (
	"context"
	"log/slog"
	"net/url"

	amcommon "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/tocsin-go/tocsin/event"
)

// alertmanagerSender is Alertmanager's webhook notifier with its default client, which is tuned already.
func alertmanagerSender() senderMaker {
	return senderMaker{
		name:   "Alertmanager, webhook notifier",
		traits: senderTraits{"its own, of the alert, made for each delivery", "no", "whether to try again", "yes, without a bound", "no", "no"},
		open: func(target string) (sender, error) {
			t, err := template.FromGlobs(nil)
			if err != nil {
				return sender{}, err
			}
			if t.ExternalURL, err = url.Parse("http://alertmanager.example"); err != nil {
				return sender{}, err
			}
			client := commoncfg.DefaultHTTPClientConfig
			log := slog.New(slog.DiscardHandler)
			n, err := webhook.New(&webhook.WebhookConfig{HTTPConfig: &client, URL: amcommon.SecretTemplateURL(target)}, t, log)
			if err != nil {
				return sender{}, err
			}
			ctx := notify.WithGroupKey(context.Background(), "{}:{}")
			ctx = notify.WithGroupLabels(ctx, model.LabelSet{})
			ctx = notify.WithReceiverName(ctx, "on-call")
			ctx = notify.WithNotificationReason(ctx, notify.ReasonFirstNotification)
			return sender{
				send: func(_ context.Context, e event.Event) error {
					return n.Notify(ctx, alertOf(e)).Err()
				},
				close: func() {},
			}, nil
		},
	}
}
