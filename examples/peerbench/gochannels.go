package main

import (
	"context"
	"sync"

	"github.com/tocsin-go/tocsin/event"
)

// goChannels is the floor of all buses: a buffered Go channel for each receiver, and a goroutine that reads it.
func goChannels() busMaker {
	return busMaker{
		name: "ten buffered Go channels (floor)", callers: 1,
		traits: busTraits{"lost", "none", "none", "everybody, once its buffer is full", "the buffers"},
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
