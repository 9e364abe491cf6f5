package email_test

import (
	"context"
	"fmt"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// A mail to the requester, with the text that comes with the library.
func Example() {
	server, err := smtptest.New(smtptest.Options{Mode: email.TLSNone}) // in place of yours
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	requester, err := template.Compile("{{data.requester.email}}", template.Options{Mode: template.Text})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil) // the relay of this example is on this host
	if err != nil {
		fmt.Println(err)
		return
	}
	mail, err := email.New(email.Config{
		Relay:      email.Relay{Host: "127.0.0.1", Port: server.Port(), Ports: []int{server.Port()}, Mode: email.TLSNone},
		From:       "access@product.example",
		FromName:   "Access requests",
		ToComputed: []*template.Template{requester},
		Guard:      guard,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()

	approved, _ := event.Sample(event.TypeRequestApproved)
	receipt, err := mail.Send(context.Background(), channel.Delivery{Event: approved, Route: channel.RouteID{Name: "requester"}, Attempt: 1})
	fmt.Println(receipt.Status, err)

	received := server.Mails()[0]
	fmt.Println(received.To)
	fmt.Println(received.Header.Get("From"))
	fmt.Println(received.Subject)
	// Output:
	// 250 <nil>
	// [priya.nair@example.com]
	// "Access requests" <access@product.example>
	// Access request AR-2047 is approved
}

// In production: STARTTLS is required and the certificate verified unless the configuration says otherwise.
func ExampleNew() {
	mail, err := email.New(email.Config{
		Relay: email.Relay{
			Host: "smtp.example.com",
			Auth: email.Password("tocsin", secret.Env("SMTP_PASSWORD")),
		},
		From: "access@product.example",
		To:   []string{"security@example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()
	fmt.Println(mail)
	// Output: email.Channel(smtp.example.com:587)
}

// "Require external key" is the filter of the route.
func Example_requireExternalKey() {
	wanted := event.All(event.Types("session.*"), event.WithAttribute("external_key"))
	for _, key := range []string{"", "CHG-4711"} {
		started := event.Must(event.SessionStarted{Session: event.Session{LSID: "ls-1", ExternalKey: key}}, event.Meta{})
		fmt.Printf("%q: %t\n", key, wanted.Match(started))
	}
	// Output:
	// "": false
	// "CHG-4711": true
}
