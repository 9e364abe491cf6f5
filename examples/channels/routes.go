package main

import (
	"errors"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/template"
)

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
		Token:   secret.Literal(botToken), // rather secret.Env or secret.File
		Channel: channelID,
		API:     r.slack.URL + "/api",                                      // leave it out for Slack
		Options: slack.Options{Guard: guard, Limits: limits, Interval: -1}, // and these: Slack wants one message a second
	})
	// The subject is the same for all mails about a request, so that every mail program keeps them together.
	subject, subjectErr := template.Compile("{{data.friendly_id}}: {{data.justification}}", template.Options{Mode: template.Header})
	asker, askerErr := template.Compile("{{data.requester.email}}", template.Options{Mode: template.Text})
	if err := errors.Join(slackErr, subjectErr, askerErr); err != nil {
		return nil, nil, err
	}
	requester, mailErr := email.New(email.Config{
		Relay:      email.Relay{Host: "127.0.0.1", Port: r.relay.Port(), Ports: []int{r.relay.Port()}, Mode: email.TLSNone},
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

	// BySubject: what happens to one request is told in its order, also when an attempt has to be repeated.
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
