package health_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

// A webhook that is down is reported to the mail route, which takes the library's own events.
func ExampleMonitor() {
	notified := make(chan struct{})
	hook := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		return channel.Receipt{}, errors.New("connection refused")
	})
	mail := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		failing, err := event.Decode[event.ChannelFailing](d.Event)
		if err == nil {
			fmt.Printf("route %s is failing: %s\n", failing.Route, failing.LastError)
			close(notified)
		}
		return channel.Receipt{}, nil
	})
	monitor := health.New(health.Options{
		Alert:  health.Alert{After: 10 * time.Minute, Resend: time.Hour},
		Routes: map[dispatcher.RouteID]health.Alert{{Name: "siem"}: {After: 50 * time.Millisecond}},
	})
	engine, err := dispatcher.New(dispatcher.Config{
		Observers: []dispatcher.Observer{monitor.Observer()},
		Logger:    slog.New(slog.DiscardHandler),
		Routes: []dispatcher.Route{
			{Name: "siem", Channel: hook},
			{Name: "mail", Channel: mail, Events: event.Types("tocsin.*")},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(ctx) })
	running.Go(func() { _ = monitor.Run(ctx, engine) })
	if err := engine.Dispatch(ctx, event.Must(event.GrantActive{}, event.Meta{})); err != nil {
		fmt.Println(err)
	}
	<-notified
	stop()
	running.Wait()
	// Output: route siem is failing: connection refused
}
