package main

import "github.com/tocsin-go/tocsin/event"

// occurrence makes a new event of the catalogue's example of P.
func occurrence[P event.Payload](tenant string) (event.Event, error) {
	var none P
	sample, _ := event.Sample(none.EventType())
	payload, err := event.Decode[P](sample)
	if err != nil {
		return event.Event{}, err
	}
	return event.New(payload, event.Meta{Tenant: tenant})
}
