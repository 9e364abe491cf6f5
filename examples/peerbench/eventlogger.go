package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/eventlogger"

	"github.com/tocsin-go/tocsin/event"
)

const eventloggerType eventlogger.EventType = "note"

// eventloggerBus is HashiCorp's eventlogger with a pipeline for each receiver: a formatter, which a pipeline has to
// have and which takes the encoded form as it is, and the sink.
func eventloggerBus() busMaker {
	return busMaker{
		name: "hashicorp/eventlogger", callers: waitingCallers, part: 2,
		traits: busTraits{
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
