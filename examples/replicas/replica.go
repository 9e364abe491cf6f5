package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue"
)

// planVariable is where a replica finds its plan, as JSON.
const planVariable = "REPLICAS_PLAN"

// plan is what every process needs to know.
type plan struct {
	Replica          string // its name; "" = it only dispatches
	Database, Schema string
	URL              string // of the receiver
}

func isReplica() bool { return os.Getenv(planVariable) != "" }

func routeNames() []string { return []string{"audit", "chats", "mails", "pager", "siems", "watch"} }

// open opens the queue and makes an Engine, the same in every process. One that never calls Run only dispatches.
func (p plan) open(ctx context.Context) (*postgresqueue.Queue, *dispatcher.Engine, error) {
	routes, err := p.routes()
	if err != nil {
		return nil, nil, err
	}
	config, err := pgxpool.ParseConfig(p.Database)
	if err != nil {
		return nil, nil, err
	}
	queue, err := postgresqueue.Open(ctx, config, postgresqueue.Options{Schema: p.Schema, Lease: lease})
	if err != nil {
		return nil, nil, err
	}
	engine, err := dispatcher.New(dispatcher.Config{Queue: queue, Routes: routes})
	if err != nil {
		return nil, nil, errors.Join(err, queue.Close())
	}
	return queue, engine, nil
}

// routes tell the receiver in headers which of them it is, and which replica delivers.
func (p plan) routes() ([]dispatcher.Route, error) {
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	var all []dispatcher.Route
	for _, name := range routeNames() {
		hook, err := webhook.New(webhook.Config{
			URL: p.URL, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
			Headers: []webhook.Header{{Name: "X-Route", Value: name}, {Name: "X-Replica", Value: p.Replica}},
		})
		if err != nil {
			return nil, err
		}
		all = append(all, dispatcher.Route{Name: name, Channel: hook, Order: dispatcher.BySubject})
	}
	return all, nil
}

// runReplica delivers until its standard input ends, or somebody kills it.
func runReplica(ctx context.Context) error {
	var p plan
	if err := json.Unmarshal([]byte(os.Getenv(planVariable)), &p); err != nil {
		return err
	}
	queue, engine, err := p.open(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return errors.Join(engine.Shutdown(ctx), <-ended, queue.Close())
}
