package main

import (
	"strconv"

	"github.com/tocsin-go/tocsin/event"
)

// growth is the fan-out for ever more routes: the cost of a delivery should not change.
func growth(amount int) contest {
	c := contest{
		name: "routes", title: "Fan-out to more routes", unit: "delivery", amount: amount, warm: amount / 10,
		work: "One event to all routes of a Tocsin engine, without a time limit. The more routes, the more share what an event " +
			"costs once; from 10 on the cost of a delivery should stay what it is.",
		metrics: []string{heldPerRoute},
	}
	for _, routes := range []int{1, 10, 100, 1000} {
		c.entrants = append(c.entrants, entrant{
			name: "to " + figure(float64(routes)),
			open: func(units int) (worker, error) { return openGrowth(noLimit(0), units, routes, routes) },
		})
	}
	const idle = 10_000
	c.entrants = append(c.entrants, entrant{
		name: besideIdleRoutes,
		open: func(units int) (worker, error) {
			return openGrowth(besideIdle(noLimit(0), idle), units, receivers, receivers+idle)
		},
	})
	return c
}

// openGrowth also measures what the engine holds before the first event.
func openGrowth(change routing, units, sinks, routes int) (worker, error) {
	m := tocsinBus(strconv.Itoa(routes), change)
	var size float64
	open := m.open
	m.open = func(events []event.Event, all []sink) (bus, error) {
		before := held()
		b, err := open(events, all)
		size = float64(held()-before) / float64(routes) / 1000
		return b, err
	}
	w, err := openFanOut(m, units, sinks)
	w.figures = func() []float64 { return []float64{size} }
	return w, err
}
