package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
		m.traits = busTraits{
			"kept for each route, told to observers", "by a policy, in the queue", "30 s an attempt, or as the route says",
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
