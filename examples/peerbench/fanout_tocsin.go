package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// routing changes the routes of a tocsinBus.
type routing func([]dispatcher.Route) []dispatcher.Route

// noLimit takes the time limit away, which most peers have none of, and sets how many senders a route has; 0 = 4.
func noLimit(concurrency int) routing {
	return func(routes []dispatcher.Route) []dispatcher.Route {
		for i := range routes {
			routes[i].Timeout, routes[i].Concurrency = -1, concurrency
		}
		return routes
	}
}

// limit sets the time limit of an attempt.
func limit(d time.Duration) routing {
	return func(routes []dispatcher.Route) []dispatcher.Route {
		for i := range routes {
			routes[i].Timeout = d
		}
		return routes
	}
}

// besideIdle adds routes that want other events.
func besideIdle(r routing, idle int) routing {
	return func(routes []dispatcher.Route) []dispatcher.Route {
		routes = r(routes)
		for i := range idle {
			routes = append(routes, dispatcher.Route{
				Name: fmt.Sprint("idle-", i), Channel: routes[0].Channel, Events: event.Types("request.*"),
			})
		}
		return routes
	}
}

// tocsinBus is an Engine with a memory queue and an observer. A nil routing leaves every default: 30 s an attempt, 4
// senders a route, retries for a day.
func tocsinBus(name string, change routing) busMaker {
	m := busMaker{
		name: name, callers: 1,
		open: func(events []event.Event, sinks []sink) (bus, error) {
			routes := make([]dispatcher.Route, len(sinks))
			for i, s := range sinks {
				routes[i] = dispatcher.Route{
					Name: fmt.Sprint("route-", i),
					Channel: channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
						return channel.Receipt{}, s(ctx, d.Event.ID())
					}),
				}
			}
			if change != nil {
				routes = change(routes)
			}
			var dead atomic.Int64
			engine, err := dispatcher.New(dispatcher.Config{
				Routes: routes, Logger: slog.New(slog.DiscardHandler),
				Observers: []dispatcher.Observer{{Settled: func(s dispatcher.Settlement) {
					if s.Outcome == dispatcher.Dead {
						dead.Add(1)
					}
				}}},
			})
			if err != nil {
				return bus{}, err
			}
			return bus{
				publish: func(ctx context.Context, n int) error { return engine.Dispatch(ctx, events[n]) },
				close:   runEngine(engine, &dead),
			}, nil
		},
	}
	if change == nil {
		m.traits = []string{
			"kept for each route, notified to observers", "by a policy, in the queue", "30 s an attempt, or as the route says",
			"nobody", "10,000 a route, or as it says; then refused by name",
		}
	}
	return m
}

// runEngine starts an Engine and returns what stops it.
func runEngine(engine *dispatcher.Engine, dead *atomic.Int64) func() error {
	ran := make(chan error, 1)
	go func() { ran <- engine.Run(context.Background()) }()
	return func() error {
		err := errors.Join(engine.Shutdown(context.Background()), <-ran)
		if n := dead.Load(); n > 0 {
			err = errors.Join(err, fmt.Errorf("%d deliveries are dead", n))
		}
		return err
	}
}

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
	var each float64
	open := m.open
	m.open = func(events []event.Event, all []sink) (bus, error) {
		before := held()
		b, err := open(events, all)
		each = float64(held()-before) / float64(routes) / 1000
		return b, err
	}
	w, err := openFanOut(m, units, sinks)
	w.figures = func() []float64 { return []float64{each} }
	return w, err
}

// hangs is the fan-out of a Tocsin engine at full speed while receivers hang for ever.
func hangs(events int) contest {
	c := contest{
		name: "hangs", title: "Full speed beside receivers that hang", unit: "event", amount: events, warm: events / 10,
		work: fmt.Sprintf("A Tocsin engine with ten routes, without a time limit. Of some the receiver never answers: their backlogs fill "+
			"and refuse. The others are given events as fast as they take them, at most %d ahead.", inFlight),
	}
	for _, hanging := range []int{0, 1, 5, 9} {
		c.entrants = append(c.entrants, entrant{
			name: hangingName(hanging),
			open: func(units int) (worker, error) { return openHangs(units, hanging) },
		})
	}
	return c
}

func hangingName(n int) string { return fmt.Sprintf("%d of 10 hang", n) }

func openHangs(units, hanging int) (worker, error) {
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
