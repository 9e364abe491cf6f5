package smtptest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// revoked is the delivery of an event. A host's test dispatches the event to a route with the channel instead.
func revoked() channel.Delivery {
	e, _ := event.Sample(event.TypeGrantRevoked)
	return channel.Delivery{Event: e, Attempt: 1}
}

// A mail arrives as it was sent. A test writes smtptest.Start(t, …) and needs no Close.
func Example() {
	ctx := context.Background()
	server, err := smtptest.New(smtptest.Options{Auth: "PLAIN", User: "product", Password: "only-for-this-example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	c := server.Config()
	c.To = []string{"security@example.com"}
	mail, err := email.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()

	go func() { _, _ = mail.Send(ctx, revoked()) }() // what a dispatcher does
	if err := server.Wait(ctx, 1); err != nil {
		fmt.Println(err)
		return
	}
	received := server.Mails()[0]
	fmt.Println(received.To, "encrypted:", received.TLS)
	fmt.Println(received.Subject)
	fmt.Println(strings.SplitN(received.Text, "\n", 2)[0])
	// Output:
	// [security@example.com] encrypted: true
	// Access of Priya Nair was revoked (AR-2047)
	// Access of Priya Nair was revoked (AR-2047)
}

// A server that does not take a mail now, but later.
func ExampleServer_Script() {
	server, err := smtptest.New(smtptest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	mail, err := email.New(server.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()

	server.Script(smtptest.StepRcpt, "450 4.2.0 greylisted")
	server.Script(smtptest.StepMessage, "554 5.7.1 this is spam")
	for range 3 {
		_, err := mail.Send(context.Background(), revoked())
		fmt.Println(retry.Classify(context.Background(), err).Verdict, len(server.Mails()))
	}
	// Output:
	// transient 0
	// permanent 0
	// success 1
}

// A server that does not know one of the recipients.
func ExampleServer_Handle() {
	server, err := smtptest.New(smtptest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.Handle(func(c smtptest.Command) smtptest.Reply {
		if c.Step == smtptest.StepRcpt && c.Address == "left@example.com" {
			return "550 5.1.1 no such user"
		}
		return smtptest.Usual
	})
	c := server.Config()
	c.To = []string{"left@example.com", "here@example.com"}
	mail, err := email.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()

	_, err = mail.Send(context.Background(), revoked())
	if refused, ok := errors.AsType[*email.Error](err); ok {
		fmt.Println("refused:", refused.Refusals[0].Recipient)
	}
	fmt.Println("got it:", server.Mails()[0].To)
	// Output:
	// refused: To[0]
	// got it: [here@example.com]
}
