package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// A signed CloudEvent, and a receiver that checks the signature before it reads the event.
func Example_signed() {
	const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // from a vault, at best: secret.Func
	verifier, err := signature.NewVerifier(signature.Standard, secretText)
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println("signature:", verifier.Verify(r.Header, body))
		fmt.Println(r.Header.Get("Ce-Type"), "from", r.Header.Get("Ce-Source"))
	}))
	defer receiver.Close()

	here, err := netguard.New(netguard.Profile{Loopback: true}, nil) // the receiver is on this machine, without TLS
	if err != nil {
		fmt.Println(err)
		return
	}
	hook, err := webhook.New(webhook.Config{
		Guard:  here,
		Limits: netguard.Limits{AllowInsecureHTTP: true},
		URL:    receiver.URL,
		Body:   webhook.CloudEvents(webhook.CloudEventsOptions{Source: "https://pam.example", Binary: true}),
		Sign:   webhook.Sign(signature.Standard, webhook.SigningKey{Secret: secret.Literal(secretText)}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()
	e, _ := event.Sample(event.TypeGrantRevoked)
	if _, err := hook.Send(context.Background(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "audit"}, Attempt: 1}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// signature: <nil>
	// grant.revoked from https://pam.example
}

// Some receivers answer 200 to everything and say in the body what they think. Interpret reads that.
func ExampleConfig_interpret() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"ok": false, "error": "no_such_channel"}`)
	}))
	defer receiver.Close()

	here, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	hook, err := webhook.New(webhook.Config{
		Guard:  here,
		Limits: netguard.Limits{AllowInsecureHTTP: true},
		URL:    receiver.URL,
		Interpret: func(a webhook.Response, verdict retry.Verdict) webhook.Reading {
			var said struct {
				OK    bool
				Error string
			}
			if verdict != retry.VerdictSuccess || json.Unmarshal(a.Body, &said) != nil || said.OK {
				return webhook.Reading{Verdict: verdict}
			}
			return webhook.Reading{Verdict: retry.VerdictPermanent, Reason: said.Error}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()
	e, _ := event.Sample(event.TypeRequestPending)
	_, err = hook.Send(context.Background(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "chat"}, Attempt: 1})
	if refused, ok := errors.AsType[*webhook.Error](err); ok {
		fmt.Println(refused.Kind, refused.Status, refused.Reason)
	}
	// Output:
	// refused 200 no_such_channel
}

func Example_templates() {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.RequestURI)
		fmt.Println(r.Header.Get("X-Event"))
		fmt.Println(string(body))
	}))
	defer receiver.Close()

	// Compile reports mistakes with line and column, when the channel is saved and not when it fires.
	compile := func(mode template.Mode, source string) *template.Template {
		t, err := template.Compile(source, template.Options{Mode: mode})
		if err != nil {
			panic(err)
		}
		return t
	}
	here, err := netguard.New(netguard.Profile{Loopback: true}, nil) // the receiver is on this machine, without TLS
	if err != nil {
		fmt.Println(err)
		return
	}
	hook, err := webhook.New(webhook.Config{
		Guard:   here,
		Limits:  netguard.Limits{AllowInsecureHTTP: true},
		URL:     receiver.URL,
		Path:    compile(template.URL, "/v1/{{data.friendly_id}}/news?why={{data.justification}}"),
		Headers: []webhook.Header{{Name: "X-Event", Template: compile(template.Header, "{{event_type}}")}},
		Body:    webhook.TemplateBody(compile(template.JSON, `{"text": "{{data.requester.name}}: {{data.justification}}"}`)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()

	request := event.RequestApproved{AccessRequest: event.AccessRequest{
		ID: "4f1c", FriendlyID: "AR-2047", Requester: event.Person{Name: "Dana"}, Justification: `restore "orders" & check`,
	}}
	d := channel.Delivery{Event: event.Must(request, event.Meta{}), Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
	if _, err := hook.Send(context.Background(), d); err != nil {
		fmt.Println(err)
	}
	// Output:
	// /v1/AR-2047/news?why=restore%20%22orders%22%20%26%20check
	// request.approved
	// {"text": "Dana: restore \"orders\" & check"}
}

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

	// Only because the receiver is on this machine, and without TLS: the defaults allow neither.
	guard, _ := netguard.New(netguard.Profile{Loopback: true}, nil)
	hook, err := webhook.New(webhook.Config{
		URL:    receiver.URL + "/hooks/4f1c",
		Auth:   webhook.Token(secret.Literal("Bearer open-sesame")),
		Guard:  guard,
		Limits: netguard.Limits{AllowInsecureHTTP: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()

	e, _ := event.Sample(event.TypeRequestApproved)
	ctx := context.Background()
	receipt, err := hook.Send(ctx, channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1})
	fmt.Println(receipt.Response.Start)
	fmt.Println("Authorization:", receipt.Request.Header.Get("Authorization"))
	verdict := retry.Classify(ctx, err)
	fmt.Println(verdict.Verdict, "error, not again before", verdict.Delay)
	// Output:
	// 503 Service Unavailable
	// Authorization: [redacted]
	// transient error, not again before 2m0s
}
