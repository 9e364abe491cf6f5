// Unittest is a small host service that ends grants and dispatches an event about each, and its tests
// (service_test.go), which need no network and no waiting:
//
//	go test -v ./examples/unittest
//
// Run as a program, it ends two grants, one of them for a request that is cancelled as soon as it was carried out.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	receiver := new(channeltest.Recorder) // the fake channel that the tests use
	engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "audit", Channel: receiver}}})
	if err != nil {
		return err
	}
	go func() { _ = engine.Run(ctx) }()
	grant := func(id string) event.Grant {
		return event.Grant{AccessRequest: event.AccessRequest{ID: "request-" + id}, Granted: event.Granted{ID: "grant-" + id}}
	}
	service := NewService(engine, grant("7"), grant("8"))
	if err := service.Revoke(ctx, "grant-7", "usr-9", "left the team"); err != nil {
		return err
	}
	request, cancel := context.WithCancel(ctx)
	service.committed = cancel // the client hangs up right after the commit
	if err := service.Revoke(request, "grant-8", "usr-9", "left the team"); err != nil {
		return err
	}
	if err := receiver.Wait(ctx, 2); err != nil {
		return err
	}
	for _, d := range receiver.Deliveries() {
		fmt.Printf("the receiver got %s about %s\n", d.Event.Type(), d.Event.Subject())
	}
	fmt.Println("the second request was cancelled after its commit, and its event came all the same")
	return engine.Shutdown(ctx)
}
