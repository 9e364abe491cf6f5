// Channels follows one access request from the question to the end of the access. The approvers hear of it in Slack,
// the requester by mail, and a SIEM through an Amazon SNS topic; all three are small servers on this machine, and after
// each event the program prints what they received. The reason given for the request tries to call everybody in
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

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// receivers are the three ends of the scenario.
type receivers struct {
	slack *slacktest.Server
	relay *smtptest.Server
	topic *topic
}

// run runs the scenario, printing to out, and returns the receivers, for a test to look at what really arrived.
func run(ctx context.Context, out io.Writer) (*receivers, error) {
	mailbox, err := smtptest.New(smtptest.Options{})
	if err != nil {
		return nil, err
	}
	defer mailbox.Close()
	workspace, err := slacktest.New()
	if err != nil {
		return nil, err
	}
	defer workspace.Close()
	r := &receivers{slack: workspace, relay: mailbox, topic: newTopic()}
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

	scenario, err := chapters()
	if err != nil {
		return r, err
	}
	show := printer{out}
	fmt.Fprint(out, "The reason that Priya types:\n\n")
	show.lines("  ", strings.Split(justification, "\n"), 2)
	fmt.Fprint(out, "\nIt has to arrive as it is: nobody's phone rings in Slack, and no mail goes to anybody else.\n\n")
	var before []slacktest.Message
	for i, c := range scenario {
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
		messages := r.slack.Messages()
		show.slack(changes(before, messages), i == 0)
		before = messages
		mails := r.relay.Mails()
		show.mail(mails[len(mails)-1], i == 0)
		show.sns(r.topic.last(), i == 0)
	}
	show.sum(r)
	return r, errors.Join(engine.Shutdown(ctx), <-stopped)
}

// justification is what the requester typed, in the hope that somebody does not look closely.
const justification = `INC-48213: charged twice <!channel> "now"` + "\nBcc: all@example.com"

// chapter is one thing that happens to the request.
type chapter struct {
	title string
	event event.Event
}

// chapters returns the whole life of one request.
func chapters() ([]chapter, error) {
	pending, err := sampled[event.RequestPending](event.TypeRequestPending)
	if err != nil {
		return nil, err
	}
	approved, err := sampled[event.RequestApproved](event.TypeRequestApproved)
	if err != nil {
		return nil, err
	}
	asked := time.Date(2026, time.November, 23, 9, 0, 0, 0, time.UTC)
	started, ends := asked.Add(20*time.Minute), asked.Add(20*time.Minute+4*time.Hour)
	request := pending.AccessRequest
	request.Grantee = event.Grantee{} // it is the requester
	request.Justification = justification
	request.CreationDate, request.RevocationDate = event.At(asked), event.At(asked.Add(4*time.Hour))
	decided := request
	decided.Approvals, decided.RevocationDate = approved.Approvals, event.At(ends)
	grant := event.Grant{AccessRequest: decided, Granted: event.Granted{ID: "grant-7", StartsAt: event.At(started), ExpiresAt: event.At(ends)}}

	var all []chapter
	add := func(title, id string, at time.Time, p event.Payload) {
		// An id of the host's own makes repetitions recognisable; without one it would be a UUID.
		e, failed := event.New(p, event.Meta{ID: request.FriendlyID + "-" + id, Tenant: tenant, Time: at})
		if err == nil {
			err = failed
		}
		all = append(all, chapter{title, e})
	}
	add("Priya asks for access", "pending", asked, event.RequestPending{AccessRequest: request})
	add("both approvals are there", "approved", asked.Add(18*time.Minute), event.RequestApproved{AccessRequest: decided})
	add("the access is set up", "active", started, event.GrantActive{Grant: grant})
	add("half an hour is left", "expiring", ends.Add(-30*time.Minute), event.GrantExpiringSoon{Grant: grant})
	add("the access is gone", "expired", ends, event.GrantExpired{Grant: grant})
	return all, err
}

// sampled returns the payload of a sample event.
func sampled[P event.Payload](t event.Type) (P, error) {
	e, _ := event.Sample(t)
	return event.Decode[P](e)
}

// tenant is whose request it is.
const tenant = "acme"

// newRoutes makes a channel to each receiver and a route to each channel. Call closeAll when the Engine has stopped.
func newRoutes(r *receivers) (routes []dispatcher.Route, closeAll func(), err error) {
	// Public addresses, with TLS, would be the default. The receivers are on this machine, which has to be allowed on
	// purpose.
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, nil, err
	}
	limits := netguard.Limits{AllowInsecureHTTP: true}

	approvers, slackErr := slack.NewBot(slack.BotConfig{
		Token:   secret.Literal(slacktest.Token), // rather secret.Env or secret.File
		Channel: slacktest.Channel,
		API:     r.slack.API(),                                             // leave it out for Slack
		Options: slack.Options{Guard: guard, Limits: limits, Interval: -1}, // and these: Slack wants one message a second
	})
	// The subject is the same for all mails about a request, so that every mail program keeps them together.
	subject, subjectErr := template.Compile("{{data.friendly_id}}: {{data.justification}}", template.Options{Mode: template.Header})
	asker, askerErr := template.Compile("{{data.requester.email}}", template.Options{Mode: template.Text})
	if err := errors.Join(slackErr, subjectErr, askerErr); err != nil {
		return nil, nil, err
	}
	relay := email.Relay{Host: "127.0.0.1", Port: r.relay.Port()}             // STARTTLS is required
	relay.Ports, relay.TLS.CAPEM = []int{r.relay.Port()}, r.relay.Authority() // leave these out for yours
	requester, mailErr := email.New(email.Config{
		Relay:      relay,
		From:       "access@pam.example",
		FromName:   "Access requests",
		ToComputed: []*template.Template{asker}, // whoever asks gets the mail
		Subject:    subject,
		Guard:      guard,
	})
	siem, snsErr := sns.New(sns.Config{
		TopicARN:    topicARN,
		Subject:     subject,
		Credentials: sns.Static(secret.Literal(keyID), secret.Literal(keySecret), secret.Value{}), // leave it out for the SDK's chain
		Endpoint:    r.topic.URL,                                                                  // and this for AWS
		Guard:       guard,
		Limits:      limits,
	})
	if err := errors.Join(mailErr, snsErr); err != nil {
		return nil, nil, err
	}

	// BySubject: what happens to one request arrives in its order, also when an attempt has to be repeated.
	return []dispatcher.Route{
			{Name: "approvers", Channel: approvers, Tenant: tenant, Order: dispatcher.BySubject},
			{Name: "requester", Channel: requester, Tenant: tenant, Order: dispatcher.BySubject},
			{Name: "siem", Channel: siem, Tenant: tenant, Order: dispatcher.BySubject},
		}, func() {
			approvers.Close()
			requester.Close()
			siem.Close()
		}, nil
}
