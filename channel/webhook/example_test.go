package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer open-sesame" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer receiver.Close()

	hook, err := webhook.New(webhook.Config{
		URL:  receiver.URL + "/hooks/4f1c",
		Auth: webhook.Token("Bearer open-sesame"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()

	e, _ := event.Sample(event.TypeRequestApproved)
	ctx := context.Background()
	receipt, err := hook.Send(ctx, channel.Delivery{Event: e, Route: "on-call", Attempt: 1})
	fmt.Println(receipt.Response.Start)
	fmt.Println("Authorization:", receipt.Request.Header.Get("Authorization"))
	verdict := retry.Classify(ctx, err)
	fmt.Println(verdict.Verdict, "error, not again before", verdict.Delay)
	// Output:
	// 503 Service Unavailable
	// Authorization: ***
	// transient error, not again before 2m0s
}
