package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/hashicorp/eventlogger"
	"github.com/nikoksr/notify"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	alertnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/tocsin-go/tocsin/event"
)

// goChannels is the floor of all buses: a buffered Go channel for each receiver, and a goroutine that reads it.
func goChannels() busMaker {
	return busMaker{
		name: "ten buffered Go channels (floor)", callers: 1,
		traits: []string{"lost", "none", "none", "everybody, once its buffer is full", "the buffers"},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			var readers sync.WaitGroup
			lanes := make([]chan event.Event, len(sinks))
			for i, s := range sinks {
				lanes[i] = make(chan event.Event, inFlight)
				readers.Go(func() {
					for e := range lanes[i] {
						_ = s(context.Background(), e.ID())
					}
				})
			}
			return bus{
				publish: func(_ context.Context, n int) error {
					for _, lane := range lanes {
						lane <- events[n]
					}
					return nil
				},
				close: func() error {
					for _, lane := range lanes {
						close(lane)
					}
					readers.Wait()
					return nil
				},
			}, nil
		},
	}
}

// notifyBus is github.com/nikoksr/notify with a service for each receiver. It waits for all of them.
func notifyBus() busMaker {
	return busMaker{
		name: nameNotify, callers: waitingCallers,
		traits: []string{"the first, the others lost", "none", "the caller's", "every caller that met it", "the callers"},
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

// alertmanagerBus is Alertmanager's fan-out stage alone, without the stages for deduplication, retries and the log.
func alertmanagerBus() busMaker {
	return busMaker{
		name: "Alertmanager, fan-out stage", callers: waitingCallers,
		traits: []string{
			"joined", "a stage of its own: in the caller's time", "the caller's", "every caller that met it", "the callers",
		},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			var stage alertnotify.FanoutStage
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

// alertmanagerLogBus is what Alertmanager does for each receiver: deduplication by its notification log, the attempt
// with retries, the entry in the log. Each event is a group of its own, so none is withheld.
func alertmanagerLogBus() busMaker {
	return busMaker{
		name: "Alertmanager, with log, dedup and retries", callers: waitingCallers, part: 20,
		traits: []string{"joined", "until the caller's context ends", "the caller's", "every caller that met it", "the callers"},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			registry := prometheus.NewRegistry()
			entries, err := nflog.New(nflog.Options{Retention: time.Hour, Metrics: registry})
			if err != nil {
				return bus{}, err
			}
			flags := featurecontrol.NoopFlags{}
			metrics := alertnotify.NewMetrics(registry, flags)
			const receiver, kind = "on-call", "webhook"
			var fan alertnotify.FanoutStage
			for i, s := range sinks {
				own := alertmanagerNotifier(s)
				key := &nflogpb.Receiver{GroupName: receiver, Integration: kind, Idx: uint32(i)}
				fan = append(fan, alertnotify.MultiStage{
					alertnotify.NewDedupStage(own, entries, key),
					alertnotify.NewRetryStage(alertnotify.NewIntegration(own, own, kind, i, receiver), receiver, metrics, eventrecorder.NopRecorder()),
					alertnotify.NewSetNotifiesStage(entries, key, flags),
				})
			}
			alerts, log := alertsOf(events), slog.New(slog.DiscardHandler)
			return bus{
				publish: func(ctx context.Context, n int) error {
					ctx = alertnotify.WithGroupKey(ctx, events[n].ID())
					ctx = alertnotify.WithReceiverName(ctx, receiver)
					ctx = alertnotify.WithRepeatInterval(ctx, time.Hour)
					ctx = alertnotify.WithNow(ctx, time.Now())
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
func (s alertmanagerNotifier) Notify(ctx context.Context, alerts ...*alert.Alert) alertnotify.NotifyVerdict {
	if err := s(ctx, string(alerts[0].Labels["id"])); err != nil {
		return alertnotify.Retry(0, err, alertnotify.DefaultReason)
	}
	return alertnotify.Success()
}

// SendResolved implements notify.ResolvedSender.
func (alertmanagerNotifier) SendResolved() bool { return true }

const eventloggerType eventlogger.EventType = "note"

// eventloggerBus is HashiCorp's eventlogger with a pipeline for each receiver: a formatter, which a pipeline has to
// have and which takes the encoded form as it is, and the sink.
func eventloggerBus() busMaker {
	return busMaker{
		name: "hashicorp/eventlogger", callers: waitingCallers, part: 2,
		traits: []string{
			"warnings; an error only below a threshold of successes", "none", "the caller's", "every caller that met it", "the callers",
		},
		open: func(events []event.Event, sinks []sink) (bus, error) {
			broker, err := eventlogger.NewBroker()
			if err != nil {
				return bus{}, err
			}
			format := eventlogger.NodeID("format")
			if err := broker.RegisterNode(format, eventloggerFormat{}); err != nil {
				return bus{}, err
			}
			for i, s := range sinks {
				id := eventlogger.NodeID(fmt.Sprint("sink-", i))
				if err := broker.RegisterNode(id, eventloggerSink(s)); err != nil {
					return bus{}, err
				}
				if err := broker.RegisterPipeline(eventlogger.Pipeline{
					PipelineID: eventlogger.PipelineID(id), EventType: eventloggerType, NodeIDs: []eventlogger.NodeID{format, id},
				}); err != nil {
					return bus{}, err
				}
			}
			return bus{
				publish: func(ctx context.Context, n int) error {
					_, err := broker.Send(ctx, eventloggerType, events[n])
					return err
				},
				close: func() error { return nil },
			}, nil
		},
	}
}

// eventloggerFormat is a formatter with nothing to do.
type eventloggerFormat struct{}

// Process implements eventlogger.Node.
func (eventloggerFormat) Process(_ context.Context, e *eventlogger.Event) (*eventlogger.Event, error) {
	e.FormattedAs(eventlogger.JSONFormat, e.Payload.(event.Event).JSON())
	return e, nil
}

// Reopen implements eventlogger.Node.
func (eventloggerFormat) Reopen() error { return nil }

// Type implements eventlogger.Node.
func (eventloggerFormat) Type() eventlogger.NodeType { return eventlogger.NodeTypeFormatter }

// eventloggerSink makes a node of a sink.
type eventloggerSink sink

// Process implements eventlogger.Node.
func (s eventloggerSink) Process(ctx context.Context, e *eventlogger.Event) (*eventlogger.Event, error) {
	return nil, s(ctx, e.Payload.(event.Event).ID())
}

// Reopen implements eventlogger.Node.
func (eventloggerSink) Reopen() error { return nil }

// Type implements eventlogger.Node.
func (eventloggerSink) Type() eventlogger.NodeType { return eventlogger.NodeTypeSink }

const watermillTopic = "notes"

// watermillChannelBus is Watermill's GoChannel with a subscription for each receiver, buffered.
func watermillChannelBus() busMaker {
	return busMaker{
		name: "Watermill GoChannel", callers: 1, part: 5,
		traits: []string{"a nack: again at once, for ever", "none but that", "none", "nobody", "none: goroutines pile up"},
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
		name: "Watermill Router", callers: 1, part: 10,
		traits: []string{
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
