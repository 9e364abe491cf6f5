package webhooktest_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// A signed webhook to a receiver that checks the signature, and that wants a pause first. A test writes
// webhooktest.Start(t, …) and needs no Close.
func Example() {
	ctx := context.Background()
	const key = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	verifier, err := signature.NewVerifier(signature.Standard, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver, err := webhooktest.New(webhooktest.Options{Verifier: verifier})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer receiver.Close()
	receiver.Script(webhooktest.Response{Status: http.StatusServiceUnavailable, RetryAfter: time.Minute})

	c := receiver.Config()
	c.Sign = webhook.Sign(signature.Standard, webhook.SigningKey{Secret: secret.Literal(key)})
	hook, err := webhook.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()
	revoked, _ := event.Sample(event.TypeGrantRevoked)
	for attempt := range 2 { // a host's test dispatches the event to a route with the channel instead
		_, err := hook.Send(ctx, channel.Delivery{Event: revoked, Attempt: attempt + 1})
		result := retry.Classify(ctx, err)
		fmt.Println(result.Verdict, result.Delay)
	}
	if err := receiver.Wait(ctx, 2); err != nil {
		fmt.Println(err)
		return
	}
	received := receiver.Requests()[1]
	e, err := event.Parse(received.Body)
	fmt.Println(received.Method, "trusted:", received.Untrusted == nil, e.Type(), err)
	// Output:
	// transient 1m0s
	// success 0s
	// POST trusted: true grant.revoked <nil>
}
