package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// A dead delivery is looked up in the history and delivered again, once its receiver takes it.
func ExampleEntry_Redeliver() {
	var fixed atomic.Bool
	hook := channel.Func(func(context.Context, channel.Delivery) (channel.Receipt, error) {
		if !fixed.Load() {
			return channel.Receipt{Status: 400}, retry.Permanent(errors.New("400 unknown template"))
		}
		return channel.Receipt{Status: 200}, nil
	})
	store := history.NewMemory(0)
	recorder, err := history.NewRecorder(store, history.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	settled := make(chan dispatcher.Settlement, 1)
	engine, err := dispatcher.New(dispatcher.Config{
		Routes:    []dispatcher.Route{{Name: "tickets", Channel: hook}},
		Observers: []dispatcher.Observer{recorder.Observer(), {Settled: func(s dispatcher.Settlement) { settled <- s }}},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	go func() { _ = engine.Run(ctx) }()
	_ = engine.Dispatch(ctx, event.Must(event.GrantActive{}, event.Meta{Subject: "grant-7"}))
	<-settled

	var dead []history.Entry
	for len(dead) == 0 { // it is stored a moment later
		dead, err = store.Query(ctx, history.Query{Subject: "grant-7", Outcomes: []dispatcher.Outcome{dispatcher.Dead}})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fixed.Store(true)
	_ = dead[0].Redeliver(ctx, engine)
	<-settled
	_ = engine.Shutdown(ctx)
	_ = recorder.Close(ctx)

	all, _ := store.Query(ctx, history.Query{Route: dispatcher.RouteID{Name: "tickets"}})
	for _, e := range all {
		fmt.Println(e.Seq, e.Event.Type(), e.Status, e.Outcome)
	}
	// Output:
	// 3 grant.active 200 delivered
	// 2 grant.active 0 dead
	// 1 grant.active 400 failed
}
