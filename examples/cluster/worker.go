package main

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
)

const routeName = "audit"

// routes are the same in every process, but for the channel: only a worker needs one that works.
func routes(c channel.Channel) []dispatcher.Route {
	return []dispatcher.Route{{Name: routeName, Channel: c, Concurrency: 8}}
}

// dispatchOnly is the channel of a process that only dispatches.
func dispatchOnly() channel.Channel {
	return channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, errors.New("this process does not deliver")
	})
}

// worker delivers until its parent goes: "servers receiver".
func worker(args []string) error {
	ctx := context.Background()
	nc, err := connect(args[0])
	if err != nil {
		return err
	}
	defer nc.Close()
	q, err := openQueue(ctx, nc)
	if err != nil {
		return err
	}
	defer q.Close()
	// The receiver of this example is on the same machine and speaks no TLS, which has to be allowed on purpose.
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return err
	}
	hook, err := webhook.New(webhook.Config{URL: args[1], Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}})
	if err != nil {
		return err
	}
	defer hook.Close()
	engine, err := dispatcher.New(dispatcher.Config{Queue: q, Routes: routes(hook)})
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()
	ready()
	parent()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return errors.Join(engine.Shutdown(ctx), <-stopped)
}
