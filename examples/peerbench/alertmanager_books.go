package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-go/tocsin/event"
)

// alertmanagerBooksBus is what Alertmanager does for each receiver: deduplication by its notification log, the attempt
// with retries, the entry in the log. Each event is a group of its own, so none is withheld.
func alertmanagerBooksBus() busMaker {
	return busMaker{
		name: nameAlertmanager, callers: waitingCallers, part: 20,
		traits: busTraits{"joined", "until the caller's context ends", "the caller's", "every caller that met it", "the callers"},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			registry := prometheus.NewRegistry()
			books, err := nflog.New(nflog.Options{Retention: time.Hour, Metrics: registry})
			if err != nil {
				return bus{}, err
			}
			flags := featurecontrol.NoopFlags{}
			metrics := notify.NewMetrics(registry, flags)
			const receiver, kind = "on-call", "webhook"
			var fan notify.FanoutStage
			for i, s := range sinks {
				own := alertmanagerNotifier(s)
				key := &nflogpb.Receiver{GroupName: receiver, Integration: kind, Idx: uint32(i)}
				fan = append(fan, notify.MultiStage{
					notify.NewDedupStage(own, books, key),
					notify.NewRetryStage(notify.NewIntegration(own, own, kind, i, receiver), receiver, metrics, eventrecorder.NopRecorder()),
					notify.NewSetNotifiesStage(books, key, flags),
				})
			}
			alerts, log := alertsOf(events), slog.New(slog.DiscardHandler)
			return bus{
				publish: func(ctx context.Context, n int) error {
					ctx = notify.WithGroupKey(ctx, events[n].ID())
					ctx = notify.WithReceiverName(ctx, receiver)
					ctx = notify.WithRepeatInterval(ctx, time.Hour)
					ctx = notify.WithNow(ctx, time.Now())
					_, _, err := fan.Exec(ctx, log, alerts[n])
					return err
				},
				close: func() error { return nil },
			}, nil
		},
	}
}

// alertmanagerNotifier makes a notifier of a sink.
type alertmanagerNotifier sink

// Notify implements notify.Notifier.
func (s alertmanagerNotifier) Notify(ctx context.Context, alerts ...*alert.Alert) notify.NotifyVerdict {
	if err := s(ctx, string(alerts[0].Labels["id"])); err != nil {
		return notify.Retry(0, err, notify.DefaultReason)
	}
	return notify.Success()
}

// SendResolved implements notify.ResolvedSender.
func (alertmanagerNotifier) SendResolved() bool { return true }
