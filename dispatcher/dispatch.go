package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Dispatch implements Dispatcher.
func (e *Engine) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := ValidateEvents(events...); err != nil {
		return err
	}
	if !e.calls.enter() {
		return ErrShutdown
	}
	defer e.calls.leave()
	return e.fanOut(ctx, events)
}

// fanOut stores a job for each event and route that takes it.
func (e *Engine) fanOut(ctx context.Context, events []event.Event) error {
	table, now := e.table.Load(), e.clock.now()
	batch, _ := e.batches.Get().(*[]queue.Job)
	if batch == nil {
		batch = new([]queue.Job)
	}
	jobs := (*batch)[:0]
	defer func() {
		if clear(jobs); cap(jobs) <= maxPooledJobs {
			*batch = jobs
			e.batches.Put(batch)
		}
	}()
	taken := make([]int, len(events)) // by how many routes
	for i, ev := range events {
		ev = ev.WithSource(e.source)
		own, platform := table.takers(ev)
		jobs = slices.Grow(jobs, len(own)+len(platform))
		for _, routes := range [...][]*activeRoute{own, platform} {
			for _, r := range routes {
				if r.wants(ev) {
					jobs = append(jobs, r.job(ev, 0, now))
					taken[i]++
				}
			}
		}
	}
	if err := e.enqueue(ctx, jobs); err != nil {
		return withIndex(err, events)
	}
	for i, ev := range events {
		ev = ev.WithSource(e.source)
		if taken[i] == 0 {
			e.reportUnrouted(table, ev, now)
		} else {
			e.observers.notifyDispatched(ev, taken[i])
		}
	}
	return nil
}

// maxPooledJobs is the most jobs of a batch whose memory is kept for the next one.
const maxPooledJobs = 1024

func (e *Engine) enqueue(ctx context.Context, jobs []queue.Job) error {
	if len(jobs) == 0 {
		return ctx.Err()
	}
	e.expectRun()
	return e.queue.Enqueue(ctx, jobs...)
}

// runGrace is how long events may be queued before it is logged that Run was not called.
const runGrace = time.Minute

// expectRun logs that nothing delivers what is queued, unless Run is called soon. With a durable queue that can be
// meant: another process may deliver.
func (e *Engine) expectRun() {
	if e.started.Load() {
		return
	}
	e.runExpected.Do(func() {
		level := slog.LevelWarn
		if e.queue.Properties().Durable {
			level = slog.LevelInfo
		}
		time.AfterFunc(runGrace, func() {
			if !e.started.Load() && !e.calls.isClosed() {
				e.log.Log(context.Background(), level, "tocsin: events are queued but Run was not called: this process delivers nothing")
			}
		})
	})
}

// withIndex says which of the events a conflict is about.
func withIndex(err error, events []event.Event) error {
	conflict, ok := errors.AsType[*ConflictError](err)
	if !ok {
		return err
	}
	for i, ev := range events {
		if ev.ID() == conflict.EventID {
			return &EventError{Index: i, ID: ev.ID(), Err: err}
		}
	}
	return err
}

// unroutedPause is the least time between two log lines about events no route wanted: a product that emits an event
// nobody subscribed to does so all day.
const unroutedPause = time.Minute

// Unrouted returns how many events no route wanted so far.
func (e *Engine) Unrouted() int64 { return e.unrouted.Load() }

func (e *Engine) reportUnrouted(table *routeTable, ev event.Event, now time.Time) {
	total, last := e.unrouted.Add(1), e.unroutedLogged.Load()
	due := last == nil || now.Sub(*last) >= unroutedPause
	if due {
		logged := now
		due = e.unroutedLogged.CompareAndSwap(last, &logged)
	}
	if !due && !slices.ContainsFunc(e.observers.all, func(o Observer) bool { return o.Unrouted != nil }) {
		return
	}
	reason := table.whyUnrouted(ev)
	if due {
		e.log.Info("tocsin: no route wants this event", AttrReason, string(reason), AttrEventType, string(ev.Type()),
			AttrEventID, ev.ID(), AttrTenant, ev.Tenant(), AttrUnrouted, total)
	}
	e.observers.notifyUnrouted(ev, reason)
}

// Redeliver gives an event to the named routes again on purpose, or without names to every route that wants it now:
// delivered before or not, with the same delivery id (webhook-id) but no dedup, as if it were dispatched now. A named
// route takes it whatever its filter says, but never across tenants, not while it is disabled, and not when the event
// is about it: joined *RouteErrors, and nothing is queued.
func (e *Engine) Redeliver(ctx context.Context, ev event.Event, routes ...RouteID) error {
	if err := ValidateEvents(ev); err != nil {
		return err
	}
	if !e.calls.enter() {
		return ErrShutdown
	}
	defer e.calls.leave()
	to, err := e.table.Load().chosen(ev, routes)
	if err != nil {
		return err
	}
	ev = ev.WithSource(e.source)
	jobs := make([]queue.Job, len(to))
	generation, now := e.nextGeneration(), e.clock.now()
	for i, r := range to {
		jobs[i] = r.job(ev, generation, now)
	}
	return e.enqueue(ctx, jobs)
}

const noSuchRoute = "does not exist; choose one of the routes in force"

func (t *routeTable) chosen(ev event.Event, ids []RouteID) ([]*activeRoute, error) {
	if len(ids) == 0 {
		return t.wanting(ev), nil
	}
	var to []*activeRoute
	var errs []error
	for _, id := range ids {
		r := t.find(id)
		problem := noSuchRoute
		if r != nil {
			problem = r.mismatch(ev)
		}
		if problem != "" {
			errs = append(errs, &RouteError{Route: id, Problem: problem})
			continue
		}
		to = append(to, r)
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
	if err := ValidateEvents(ev); err != nil {
		return channel.Receipt{}, err
	}
	r.Protect.Fallback = "" // names a route that need not exist yet
	routes, err := e.activate([]Route{r}, scope{all: true})
	if err != nil {
		return channel.Receipt{}, err
	}
	a := Attempt{Context: ctx, Began: time.Now(), Delivery: channel.Delivery{
		Event: ev.ForTest().WithSource(e.source), Route: r.ID(), Attempt: 1, Generation: e.nextGeneration(),
	}}
	routes[0].send(&a)
	return a.Receipt, a.Err
}

// Check asks the channel of a route whether its relay or endpoint would accept a delivery now (channel.Checker), within
// the route's Timeout and whatever its State: nil, or the reason in the relay's words. errors.ErrUnsupported if the
// channel cannot tell without sending, a *RouteError if there is no such route. Status and breaker do not change.
func (e *Engine) Check(ctx context.Context, route RouteID) error {
	r := e.table.Load().find(route)
	if r != nil {
		r = r.lane.acquire() // so that SetRoutes waits before the channel is closed
	}
	if r == nil {
		return &RouteError{Route: route, Problem: noSuchRoute}
	}
	defer r.release()
	checker, ok := r.Channel.(channel.Checker)
	if !ok {
		return errors.ErrUnsupported
	}
	check := channel.Func(func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, checker.Check(ctx)
	})
	ctx, cancel := r.withTimeout(ctx)
	defer cancel()
	_, err := channel.Recover(check).Send(ctx, channel.Delivery{})
	return err
}
