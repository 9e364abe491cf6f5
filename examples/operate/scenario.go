package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// scenario is a bad day of one receiver.
type scenario struct {
	*operation
	out     io.Writer
	systems *receivers
	mailbox *smtptest.Server
	changed *changes
}

func (s *scenario) say(text string) { fmt.Fprintf(s.out, "\n%s\n\n", text) }

func (s *scenario) play(ctx context.Context) error {
	s.say("The document has a route in the style of each of five systems. Each takes its own of a few events.")
	if err := errors.Join(
		dispatch[event.RequestPending](ctx, s, ""),
		dispatch[event.GrantActive](ctx, s, "acme"),
		dispatch[event.SessionStarted](ctx, s, ""),
		dispatch[event.ApplicationAccessRequested](ctx, s, ""),
		dispatch[event.AlertOpened](ctx, s, ""),
	); err != nil {
		return err
	}
	if err := s.await(ctx, map[string]int{"tickets": 1, "chat": 1, "siem": 1, "mail": 1, "alerts": 1}); err != nil {
		return err
	}
	// The same fact as before: the chat gets it once.
	if err := dispatch[event.GrantActive](ctx, s, "acme"); err != nil {
		return err
	}
	if err := s.await(ctx, map[string]int{"chat": 2}); err != nil {
		return err
	}
	routes, err := s.engine.Status(ctx, dispatcher.StatusFilter{})
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Delivered > 0 {
			fmt.Fprintf(s.out, "  %-8s %d delivered, %d suppressed\n", r.Route.Name, r.Delivered, r.Skipped)
		}
	}

	s.say("The SIEM goes down. Two events are tried until their time is over, and the contact gets a mail.")
	s.systems.set("siem", true)
	if err := errors.Join(dispatch[event.SessionMemberJoined](ctx, s, ""), dispatch[event.SessionMemberLeft](ctx, s, "")); err != nil {
		return err
	}
	if err := s.await(ctx, map[string]int{"siem": 3, "contact": 1}); err != nil {
		return err
	}
	s.mails(0)
	s.say("The status now:")
	if err := s.table(ctx); err != nil {
		return err
	}

	s.say("It works again. The next event gets through, and the contact gets a mail about that, too.")
	s.systems.set("siem", false)
	if err := dispatch[event.SessionEnded](ctx, s, ""); err != nil {
		return err
	}
	if err := s.await(ctx, map[string]int{"siem": 4, "contact": 2}); err != nil {
		return err
	}
	s.mails(1)

	s.say("What the SIEM missed was kept, and is delivered again.")
	dead, err := s.engine.DeadLetters(ctx, dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Name: "siem"}}})
	if err != nil {
		return err
	}
	for _, d := range dead {
		fmt.Fprintf(s.out, "  %s\n    %s\n", d.Delivery.Event.Type(), d.Reason)
	}
	n, err := s.engine.RedeliverDead(ctx, dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Name: "siem"}}})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  %d queued again\n", n)
	return s.await(ctx, map[string]int{"siem": 4 + n})
}

// sumUp prints what an administrator looks at afterwards.
func (s *scenario) sumUp(ctx context.Context) error {
	s.say("The status of all routes:")
	if err := s.table(ctx); err != nil {
		return err
	}
	s.say("The history of all routes:")
	all, err := s.store.Query(ctx, history.Query{Tenant: dispatcher.AnyTenant})
	if err != nil {
		return err
	}
	slices.Reverse(all) // the newest comes first
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  TIME\tROUTE\tEVENT\tTRY\tOUTCOME\tSTATUS\tREQUEST\n")
	for _, e := range all {
		status, request := "-", "-"
		if e.Request != nil {
			status, request = strconv.Itoa(e.Status), strings.Replace(e.Request.Start, s.systems.URL, "…", 1)
		} else if e.Reason != "" { // of a dead letter
			request, _, _ = strings.Cut(e.Reason, " after ")
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.Time.UTC().Format("15:04:05"), e.Route.Name, e.Event.Type(), e.Attempt, e.Outcome, status, request)
	}
	return w.Flush()
}

// dispatch dispatches a new event like the catalogue's example of P.
func dispatch[P event.Payload](ctx context.Context, s *scenario, tenant string) error {
	e, err := occurrence[P](tenant)
	if err != nil {
		return err
	}
	return s.engine.Dispatch(ctx, e)
}

// await returns once so many deliveries of each route are over.
func (s *scenario) await(ctx context.Context, over map[string]int) error {
	return s.changed.until(ctx, func() bool {
		for route, n := range over {
			if s.over(route) < n {
				return false
			}
		}
		return true
	})
}

// table prints the status, indented.
func (s *scenario) table(ctx context.Context) error {
	routes, err := s.engine.Status(ctx, dispatcher.StatusFilter{})
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := dispatcher.WriteStatus(&b, routes); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "  %s\n", strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\n  "))
	return err
}

// mails prints the subjects of mails from the given one on.
func (s *scenario) mails(from int) {
	for _, m := range s.mailbox.Mails()[from:] {
		fmt.Fprintf(s.out, "  mail to the contact: %s\n", m.Subject)
	}
}
