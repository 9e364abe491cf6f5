// Channels follows one access request from the question to the end of the access. The approvers hear of it in Slack,
// the requester by mail, and a SIEM through an Amazon SNS topic; all three are small servers on this machine, and after
// each event the program prints what they received. The reason given for the request tries to ring everybody's bell in
// Slack and to smuggle a line into the mail's header. Nothing to install, nothing leaves the machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// receivers are the three ends of the story.
type receivers struct {
	slack *workspace
	relay *relay.Relay
	topic *topic
}

// run tells the story on out and returns the receivers, for a test to look at what really arrived.
func run(ctx context.Context, out io.Writer) (*receivers, error) {
	postbox, err := relay.New()
	if err != nil {
		return nil, err
	}
	defer postbox.Close()
	r := &receivers{slack: newWorkspace(), relay: postbox, topic: newTopic()}
	defer r.slack.Close()
	defer r.topic.Close()
	routes, closeAll, err := newRoutes(r)
	if err != nil {
		return r, err
	}
	defer closeAll()

	settled := make(chan dispatcher.Settlement, len(routes))
	engine, err := dispatcher.New(dispatcher.Config{
		Routes:    routes,
		Source:    "https://pam.example",
		Observers: []dispatcher.Observer{{Settled: func(s dispatcher.Settlement) { settled <- s }}},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return r, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()

	story, err := chapters()
	if err != nil {
		return r, err
	}
	show := printer{out}
	fmt.Fprint(out, "The reason that Priya types:\n\n")
	show.lines("  ", strings.Split(justification, "\n"), 2)
	fmt.Fprint(out, "\nIt has to arrive as it is: nobody's phone rings in Slack, and no mail goes to anybody else.\n\n")
	for i, c := range story {
		fmt.Fprintf(out, "── %d. %s: %s ──\n\n", i+1, c.event.Type(), c.title)
		if err := engine.Dispatch(ctx, c.event); err != nil {
			return r, err
		}
		for range routes {
			select {
			case s := <-settled:
				if s.Outcome != dispatcher.Delivered {
					return r, fmt.Errorf("route %s: %v: %w", s.Delivery.Route, s.Outcome, s.Err)
				}
			case <-ctx.Done():
				return r, ctx.Err()
			}
		}
		show.slack(r.slack.takeNews())
		mails := r.relay.Mails()
		mail, err := open(mails[len(mails)-1])
		if err != nil {
			return r, err
		}
		show.mail(mail, i == 0)
		show.sns(r.topic.last(), i == 0)
	}
	show.sum(r)
	return r, errors.Join(engine.Shutdown(ctx), <-stopped)
}
