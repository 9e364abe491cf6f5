package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// operation is a configuration at work: an engine, who watches its health, and who writes its history.
type operation struct {
	engine   *dispatcher.Engine
	monitor  *health.Monitor
	recorder *history.Recorder
	store    *history.Memory

	running sync.WaitGroup
	quit    context.CancelFunc // ends the monitor

	mu      sync.Mutex
	settled map[string]int // deliveries that are over, by route
}

func newOperation(set *config.Set, changed *changes) (*operation, error) {
	discard := slog.New(slog.DiscardHandler) // the scenario prints it all
	store := history.NewMemory(0)
	recorder, err := history.NewRecorder(store, history.Options{Logger: discard})
	if err != nil {
		return nil, err
	}
	o := &operation{
		monitor:  health.New(health.Options{Routes: set.Alerts, Logger: discard}),
		recorder: recorder,
		store:    store,
		settled:  make(map[string]int),
	}
	counter := dispatcher.Observer{Settled: func(s dispatcher.Settlement) {
		o.mu.Lock()
		o.settled[s.Delivery.Route.Name]++
		o.mu.Unlock()
		changed.notify()
	}}
	o.engine, err = dispatcher.New(dispatcher.Config{
		Routes: set.Routes, Observers: []dispatcher.Observer{o.monitor.Observer(), o.recorder.Observer(), counter}, Logger: discard,
	})
	if err != nil {
		return nil, errors.Join(err, o.recorder.Close(context.Background()))
	}
	return o, nil
}

// over returns how many deliveries of a route are over, delivered or dead.
func (o *operation) over(route string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settled[route]
}

func (o *operation) start(ctx context.Context) {
	ctx, o.quit = context.WithCancel(ctx)
	o.running.Go(func() { _ = o.engine.Run(ctx) })
	o.running.Go(func() { _ = o.monitor.Run(ctx, o.engine) })
}

// stop ends everything; the history is complete then.
func (o *operation) stop(ctx context.Context) error {
	err := o.engine.Shutdown(ctx)
	o.quit()
	o.running.Wait()
	return errors.Join(err, o.recorder.Close(ctx))
}

// changes lets the scenario wait for what happens elsewhere.
type changes struct {
	mu   sync.Mutex
	next chan struct{} // closed when something has happened
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

// notify says that something has happened.
func (c *changes) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// until returns once happened is true, which it asks whenever something has happened, or ctx is done.
func (c *changes) until(ctx context.Context, happened func() bool) error {
	for {
		c.mu.Lock()
		next := c.next
		c.mu.Unlock()
		if happened() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
