package dispatcher_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// A reminder is scheduled when a grant becomes active, and cancelled when it is revoked before.
func ExampleEngine_Schedule() {
	ctx, reminded := context.Background(), make(chan string)
	mail := channel.Func(func(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
		reminded <- d.Event.ID()
		return channel.Receipt{}, nil
	})
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: []dispatcher.Route{{Name: "mail", Channel: mail, Events: event.Types("grant.expiring_soon")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = engine.Run(ctx) }()

	granted := func(id string, soon time.Time) error {
		grant := event.Grant{Granted: event.Granted{ID: id}}
		reminder := event.Must(event.GrantExpiringSoon{Grant: grant}, event.Meta{ID: "expiring-" + id})
		return engine.Schedule(ctx, soon, "expiring/"+id, reminder)
	}
	revoked := func(id string) (bool, error) { return engine.Cancel(ctx, "expiring/"+id) }

	fmt.Println(granted("grant-7", time.Now().Add(20*time.Millisecond)), granted("grant-8", time.Now().Add(time.Hour)))
	fmt.Println(revoked("grant-8"))
	fmt.Println("reminded:", <-reminded)
	fmt.Println(engine.Shutdown(ctx))
	// Output:
	// <nil> <nil>
	// true <nil>
	// reminded: expiring-grant-7
	// <nil>
}
