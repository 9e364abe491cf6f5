package main

import (
	"encoding/json"

	"github.com/tocsin-go/tocsin/event"
)

// encoding is the contest of making an event's JSON for ten receivers.
func encoding(amount int) contest {
	return contest{
		name: "json", title: "JSON of an event for ten receivers", unit: "event", amount: amount, warm: amount / 10,
		work: "An event of about 1 KiB is made and its JSON asked for by ten receivers.",
		entrants: []entrant{
			repeated("encoding/json, once, of the payload alone (floor)", func() (func() error, error) {
				payload, err := requestPayload()
				return func() error { _, err := json.Marshal(payload); return err }, err
			}),
			repeated(encodedForOne, func() (func() error, error) { return encodeFor(1) }),
			repeated(encodedForTen, func() (func() error, error) { return encodeFor(receivers) }),
		},
	}
}

func encodeFor(n int) (func() error, error) {
	payload, err := requestPayload()
	return func() error {
		e, err := event.New(payload, event.Meta{Source: "peerbench"})
		for range n {
			_ = e.JSON()
		}
		return err
	}, err
}

func requestPayload() (event.Payload, error) {
	sample, _ := event.Sample(event.TypeApplicationAccessRequested)
	return event.Decode[event.ApplicationAccessRequested](sample)
}
