// Quickstart sends access-request events to four real HTTP receivers on this machine: a healthy one, one that fails
// twice, one that always fails, and one that never answers. A fifth route leads to a cloud's metadata service, and is
// refused before a byte is sent. Nothing to install, nothing leaves the machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// receivers are the four ends of the scenario.
type receivers struct{ chat, tickets, legacy, pager *receiver }

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// metadata is where many clouds hand credentials to whoever asks from within.
const metadata = "http://169.254.169.254/latest/meta-data/"

// run runs the scenario, printing to out, and returns the receivers, for a test to look at what really arrived.
// Observers are notified of what the printer prints.
func run(ctx context.Context, out io.Writer, watching ...dispatcher.Observer) (*receivers, error) {
	r := &receivers{
		chat:    newReceiver(always(http.StatusOK)),
		tickets: newReceiver(recovers),
		legacy:  newReceiver(always(http.StatusInternalServerError)),
		pager:   newReceiver(always(0)),
	}
	scenario := &printer{out: out, began: time.Now()}
	fast := retry.AtMost(3, retry.Fixed{Interval: 100 * time.Millisecond})
	// Public addresses over HTTPS would be the default. The receivers are on this machine, which has to be allowed on
	// purpose; that does not include metadata services, whoever configures them.
	limits := netguard.Limits{AllowInsecureHTTP: true}
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return r, err
	}
	for _, to := range []*receiver{r.chat, r.tickets, r.legacy, r.pager} {
		defer to.Close()
	}
	quiet := slog.New(slog.DiscardHandler) // the printer prints it all
	var routes []dispatcher.Route
	for _, to := range []struct{ name, url string }{
		{"chat", r.chat.URL}, {"tickets", r.tickets.URL}, {"legacy", r.legacy.URL}, {"pager", r.pager.URL}, {"metadata", metadata},
	} {
		hook, err := webhook.New(webhook.Config{URL: to.url, Guard: guard, Limits: limits, Logger: quiet})
		if err != nil {
			return r, err
		}
		defer hook.Close()
		routes = append(routes, dispatcher.Route{Name: to.name, Channel: hook, Retry: fast})
	}
	routes[4].Events = event.Types("grant.active")
	routes[0].Dedup = channel.DedupOptions{Window: 2 * time.Hour}

	pending, _ := event.Sample(event.TypeRequestPending)
	delivered := make(chan struct{}) // closed once the chat has the first request
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: routes,
		Observers: append(watching, scenario.observer(), dispatcher.Observer{Settled: func(s dispatcher.Settlement) {
			if s.Delivery.Event.ID() == pending.ID() && s.Delivery.Route.Name == "chat" {
				close(delivered)
			}
		}}),
		Logger: quiet,
	})
	if err != nil {
		return r, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()

	scenario.say("Priya asks for access; the product dispatches the event and goes on at once.")
	request, err := event.Decode[event.RequestPending](pending)
	if err != nil {
		return r, err
	}
	grant := event.Grant{AccessRequest: request.AccessRequest, Granted: event.Granted{ID: "grant-7"}}
	again, err1 := event.New(request, event.Meta{}) // the same fact, dispatched twice by mistake
	active, err2 := event.New(event.GrantActive{Grant: grant}, event.Meta{})
	reminder, err3 := event.New(event.GrantExpiringSoon{Grant: grant}, event.Meta{})
	never, err4 := event.New(event.GrantExpiringSoon{Grant: grant}, event.Meta{})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return r, err
	}
	if err := engine.Dispatch(ctx, pending); err != nil {
		return r, err
	}
	<-delivered
	scenario.say("It dispatches the same event again by mistake, and then that the grant is active.")
	if err := errors.Join(
		engine.Dispatch(ctx, again),
		engine.Dispatch(ctx, active),
		engine.Schedule(ctx, time.Now().Add(300*time.Millisecond), "expiring/grant-7", reminder),
		engine.Schedule(ctx, time.Now().Add(400*time.Millisecond), "expiring/grant-8", never),
	); err != nil {
		return r, err
	}
	scenario.say("A reminder is scheduled for two grants; one is revoked, so its reminder is cancelled.")
	cancelled, err := engine.Cancel(ctx, "expiring/grant-8")
	if err != nil || !cancelled {
		return r, fmt.Errorf("cancel: %v, %w", cancelled, err)
	}
	// pending, active and the reminder reach the chat; tickets and legacy see the repeated event as well.
	if err := errors.Join(r.chat.wait(ctx, 3), r.tickets.wait(ctx, 4*3), r.legacy.wait(ctx, 4*3)); err != nil {
		return r, err
	}

	scenario.say("Shutdown: what is due is delivered; the pager still hangs, so half a second is all it gets.")
	limited, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	left := engine.Shutdown(limited)
	fmt.Fprintf(out, "\n  %v\n\n", left)
	status, err := engine.Status(ctx, dispatcher.StatusFilter{})
	if err != nil {
		return r, err
	}
	scenario.table(status)
	return r, <-stopped
}
