package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Redeliver gives an event to the named routes again on purpose, or without names to every route that wants it now:
// delivered before or not, with the same delivery id (webhook-id) but no dedup, as if it were dispatched now. A named
// route takes it whatever its filter says, but never across tenants, not while it is disabled, and not when the event
// is about it: joined *RouteErrors, and nothing is queued.
func (e *Engine) Redeliver(ctx context.Context, ev event.Event, routes ...string) error {
	if err := check([]event.Event{ev}); err != nil {
		return err
	}
	if !e.accept.enter() {
		return ErrShutdown
	}
	defer e.accept.leave()
	to, err := e.chosen(ev, routes)
	if err != nil {
		return err
	}
	ev = ev.WithSource(e.source)
	again := make([]queue.Job, len(to))
	generation, now := e.nextGeneration(), e.clock.now()
	for i, b := range to {
		again[i] = b.job(ev, generation, now)
	}
	return e.enqueue(ctx, again)
}

func (e *Engine) chosen(ev event.Event, names []string) ([]*bound, error) {
	x := e.index.Load()
	var to []*bound
	if len(names) == 0 {
		for _, b := range x.candidates(ev) {
			if b.Events.Match(ev) {
				to = append(to, b)
			}
		}
		return to, nil
	}
	var errs []error
	for _, name := range names {
		b := x.named[name]
		problem := "does not exist"
		if b != nil {
			problem = b.unfit(ev)
		}
		if problem != "" {
			errs = append(errs, &RouteError{Route: name, Problem: problem})
			continue
		}
		to = append(to, b)
	}
	return to, errors.Join(errs...)
}

// nextGeneration returns a number no redelivery had before: the clock, so that it need not be stored.
func (e *Engine) nextGeneration() int64 {
	for {
		last := e.generation.Load()
		next := max(time.Now().UnixNano(), last+1)
		if e.generation.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Test makes one attempt to give a copy of ev, marked by [event.Event.ForTest], to r, which need not be one of the
// Engine's routes: the same middleware, timeout and channel as a real delivery, but nothing is stored, retried,
// suppressed or observed, and State, Events, Tenant and Rate are not asked. It returns the complete exchange. A mistake
// in r is a *channel.ConfigError.
func (e *Engine) Test(ctx context.Context, r Route, ev event.Event) (channel.Receipt, error) {
	if err := check([]event.Event{ev}); err != nil {
		return channel.Receipt{}, err
	}
	ev = ev.ForTest()
	r.Protect.Fallback = "" // names a route that need not exist yet
	routes, err := e.bind([]Route{r})
	if err != nil {
		return channel.Receipt{}, err
	}
	d := channel.Delivery{Event: ev.WithSource(e.source), Route: r.Name, Attempt: 1, Generation: e.nextGeneration()}
	ctx, cancel := routes[0].limited(ctx)
	defer cancel()
	return routes[0].send.Send(ctx, d)
}
