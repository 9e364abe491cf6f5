package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"

	"github.com/tocsin-go/tocsin/event"
)

// alertmanagerBus is Alertmanager's fan-out stage alone, without the stages for deduplication, retries and the log.
func alertmanagerBus() busMaker {
	return busMaker{
		name: "Alertmanager, fan-out stage", callers: waitingCallers,
		traits: busTraits{
			"joined", "a stage of its own: in the caller's time", "the caller's", "every caller that met it", "the callers",
		},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			var stage notify.FanoutStage
			for _, s := range sinks {
				stage = append(stage, alertmanagerStage(s))
			}
			alerts, log := alertsOf(events), slog.New(slog.DiscardHandler)
			return bus{
				publish: func(ctx context.Context, n int) error {
					_, _, err := stage.Exec(ctx, log, alerts[n])
					return err
				},
				close: func() error { return nil },
			}, nil
		},
	}
}

func alertsOf(events []event.Event) []*alert.Alert {
	all := make([]*alert.Alert, len(events))
	for i, e := range events {
		all[i] = alertOf(e)
	}
	return all
}

func alertOf(e event.Event) *alert.Alert {
	return alert.New(model.Alert{
		Labels:      model.LabelSet{"alertname": model.LabelValue(e.Type()), "id": model.LabelValue(e.ID())},
		Annotations: model.LabelSet{"data": model.LabelValue(e.Data())},
		StartsAt:    e.Time(),
	}, e.Time(), false)
}

// alertmanagerStage makes a stage of a sink.
type alertmanagerStage sink

// Exec implements notify.Stage.
func (s alertmanagerStage) Exec(ctx context.Context, _ *slog.Logger, alerts ...*alert.Alert) (
	context.Context, []*alert.Alert, error,
) {
	return ctx, alerts, s(ctx, string(alerts[0].Labels["id"]))
}
