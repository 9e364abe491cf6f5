package main

import (
	"context"

	"github.com/tocsin-go/tocsin/event"
)

// sink takes one delivery of the event with this id.
type sink func(ctx context.Context, id string) error

// bus gives each of the events that it was opened with to each of its sinks.
type bus struct {
	// publish gives event number n away. It returns once that is done, or, where callers is 1, once it is queued.
	publish func(ctx context.Context, n int) error
	close   func() error
}

// busMaker is a library's way from one event to many receivers.
type busMaker struct {
	name    string
	callers int // how many call publish at a time: 1 where it only queues
	part    int // see entrant
	traits  busTraits
	open    func(events []event.Event, sinks []sink) (bus, error)
}

// busTraits says what a bus does besides handing events on.
type busTraits struct{ errors, retries, timeout, isolation, bound string }

func busTraitNames() []string {
	return []string{"errors of receivers", "retries", "time limit", "a hung receiver holds up", "backlog"}
}

// list returns nil for the zero value: there is nothing to say that was not said of another.
func (t busTraits) list() []string {
	if t == (busTraits{}) {
		return nil
	}
	return []string{t.errors, t.retries, t.timeout, t.isolation, t.bound}
}

// waitingCallers is for libraries that deliver in the caller's time.
const waitingCallers = 64

// buses are those compared; the first is the floor.
func buses() []busMaker {
	return []busMaker{
		goChannels(),
		tocsinBus(asItComes, nil),
		tocsinBus(withoutLimit, noLimit(0)),
		tocsinBus("Tocsin, no time limit, 1 sender a route", noLimit(1)),
		notifyBus(),
		alertmanagerBus(),
		alertmanagerBooksBus(),
		eventloggerBus(),
		watermillChannelBus(),
		watermillRouterBus(),
	}
}

// notes are n small events: what is measured is the way to the receiver, not the event.
func notes(n int) ([]event.Event, error) {
	all := make([]event.Event, n)
	for i := range all {
		e, err := event.New(note{"somebody asks for access"}, event.Meta{ID: noteID(i)})
		if err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}

// note is the payload of such an event.
type note struct {
	Text string `json:"text"`
}

// EventType implements event.Payload.
func (note) EventType() event.Type { return "peerbench.note" }
