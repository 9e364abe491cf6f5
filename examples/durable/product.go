package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

// planVariable is where the product finds its plan, as JSON.
const planVariable = "DURABLE_PLAN"

// plan is what the product is to do.
type plan struct {
	URL    string // of the receiver
	File   string // of the queue
	Events int
	From   int  // the first event to dispatch
	Again  bool // it was started before
}

func isProduct() bool { return os.Getenv(planVariable) != "" }

// batch is how many events the product dispatches at a time, as one after a change in its database.
const batch = 20

// product dispatches its events and says so on standard output. It delivers until its standard input ends, or somebody
// kills it.
func product(ctx context.Context) error {
	var p plan
	if err := json.Unmarshal([]byte(os.Getenv(planVariable)), &p); err != nil {
		return err
	}
	queue, err := sqlitequeue.Open(ctx, p.File, sqlitequeue.Options{})
	if err != nil {
		return err
	}
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return err
	}
	hook, err := webhook.New(webhook.Config{URL: p.URL, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}})
	if err != nil {
		return err
	}
	defer hook.Close()
	engine, err := dispatcher.New(dispatcher.Config{
		Queue:  queue,
		Routes: []dispatcher.Route{{Name: "tickets", Channel: hook, Concurrency: 16}},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()
	if err := remind(ctx, engine, p.Again); err != nil {
		return err
	}
	for n := p.From; n < p.Events; n += batch {
		if err := engine.Dispatch(ctx, grants(n, min(n+batch, p.Events))...); err != nil {
			return err
		}
		fmt.Println("acknowledged", min(n+batch, p.Events)) // from here on it is the queue's to deliver
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is asked to stop
	if err := engine.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Println("nothing left")
	return errors.Join(<-stopped, queue.Close())
}

// grants makes the events with numbers from first up to end. An event that is dispatched again after a crash is the
// same one: it has its own id and time, taken from the fact and not from the moment.
func grants(first, end int) []event.Event {
	var all []event.Event
	for n := first; n < end; n++ {
		all = append(all, event.Must(event.GrantActive{Grant: grant(n)}, event.Meta{
			ID: fmt.Sprintf("grant-%d-active", n), Time: time.Unix(1_700_000_000+int64(n), 0),
		}))
	}
	return all
}

func grant(n int) event.Grant {
	return event.Grant{Granted: event.Granted{ID: fmt.Sprintf("grant-%d", n)}}
}

// remind schedules a reminder for two grants when they become active. One of them is revoked after the crash, by a
// program that knows no more than the grant's id.
func remind(ctx context.Context, engine *dispatcher.Engine, again bool) error {
	if again {
		was, err := engine.Cancel(ctx, "expiring/grant-8")
		if was {
			fmt.Println("cancelled")
		}
		return err
	}
	reminder := func(n int) event.Event {
		return event.Must(event.GrantExpiringSoon{Grant: grant(n)}, event.Meta{ID: fmt.Sprintf("grant-%d-expiring", n)})
	}
	return errors.Join(
		engine.Schedule(ctx, time.Now().Add(500*time.Millisecond), "expiring/grant-7", reminder(7)),
		engine.Schedule(ctx, time.Now().Add(time.Hour), "expiring/grant-8", reminder(8)),
	)
}
