package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// undisturbed is the fan-out of a Tocsin engine at full speed while receivers hang for ever.
func undisturbed(events int) contest {
	c := contest{
		name: "undisturbed", title: "Full speed beside receivers that hang", unit: "event", amount: events, warm: events / 10,
		work: fmt.Sprintf("A Tocsin engine with ten routes, without a time limit. Of some the receiver never answers: their backlogs fill "+
			"and refuse. The others are given events as fast as they take them, at most %d ahead.", inFlight),
	}
	for _, hanging := range []int{0, 1, 5, 9} {
		c.entrants = append(c.entrants, entrant{
			name: hangingName(hanging),
			open: func(units int) (worker, error) { return openUndisturbed(units, hanging) },
		})
	}
	return c
}

func hangingName(n int) string { return fmt.Sprintf("%d of 10 hang", n) }

func openUndisturbed(units, hanging int) (worker, error) {
	events, err := notes(units + 2)
	if err != nil {
		return worker{}, err
	}
	m := tocsinBus("", noLimit(0))
	f, sinks := newFanOutRun(m.callers, receivers-hanging)
	release := make(chan struct{})
	for range hanging {
		sinks = append(sinks, func(ctx context.Context, _ string) error { return hangUntil(ctx, release) })
	}
	f.bus, err = m.open(events, sinks)
	if err != nil {
		return worker{}, err
	}
	publish := f.bus.publish
	f.bus.publish = func(ctx context.Context, n int) error {
		err := publish(ctx, n)
		if _, full := errors.AsType[*dispatcher.BacklogError](err); full && hanging > 0 {
			return nil // the lanes that hang; the others are never so far behind
		}
		return err
	}
	return worker{
		do:    func(units int) error { return f.do(units * len(f.tallies)) },
		close: func() error { close(release); return f.bus.close() },
	}, nil
}

// hangUntil is a receiver that does not answer.
func hangUntil(ctx context.Context, release <-chan struct{}) error {
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
