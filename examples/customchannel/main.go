// Customchannel shows a channel of one's own: pager.go is all it takes to deliver events to a system the library does
// not know, and pager_test.go puts it through the conformance suite that every channel of the library passes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	gateway, err := newGateway("BUSY 1", "OK page-1", "NO such team", "OK page-2")
	if err != nil {
		return err
	}
	defer gateway.Close()

	settled := make(chan struct{})
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: []dispatcher.Route{{
			Name:    "on-call pager",
			Channel: Pager{Addr: gateway.Addr().String()},
			Events:  event.Types("request.break_glass", "alert.*"),
			Order:   dispatcher.Strict, // pages arrive in the order in which things happened
		}},
		Observers: []dispatcher.Observer{{
			Attempted: report,
			Settled: func(s dispatcher.Settlement) {
				if s.Err != nil {
					fmt.Printf("  %-20s is dead: %v\n", s.Delivery.Event.Type(), s.Err)
				}
				settled <- struct{}{}
			},
		}},
		Logger: slog.New(slog.DiscardHandler), // the observer prints it all
	})
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()

	fmt.Println("Three events for the pager and one (grant.active) it did not ask for:")
	for _, t := range []event.Type{event.TypeRequestBreakGlass, event.TypeGrantActive, event.TypeAlertOpened, event.TypeAlertResolved} {
		e, _ := event.Sample(t)
		if err := engine.Dispatch(ctx, e); err != nil {
			return err
		}
	}
	for range 3 {
		<-settled
	}
	return errors.Join(engine.Shutdown(ctx), <-stopped)
}

func report(a dispatcher.Attempt) {
	outcome := "paged as " + a.Receipt.ProviderID
	if a.Err != nil {
		outcome = fmt.Sprintf("%v (%v)", a.Err, a.Verdict)
	}
	fmt.Printf("  %-20s attempt %d: %s\n", a.Delivery.Event.Type(), a.Delivery.Attempt, outcome)
}
