package config_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

func Example() {
	arrived := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.URL.Path, r.Header.Get("X-Source"), string(body))
		close(arrived)
	}))
	defer receiver.Close()
	document := `
channels:
  - type: webhook
    name: tickets
    network: here
    limits: here
    url: ` + receiver.URL + `/hooks/{key}
    masks: [{replacement: "{key}", value: 4f1c2}]
    headers: [{name: X-Source, value: pam}]
    body: {kind: template, template: '{"summary": "{{data.justification}}"}'}
routes:
  - name: tickets
    channel: tickets
    events: [request.pending]
`
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		panic(err)
	}
	set, err := config.Load("routes.yaml", []byte(document), config.Options{
		Networks: map[string]*netguard.Guard{"here": guard},
		Limits:   map[string]netguard.Limits{"here": {AllowInsecureHTTP: true}},
	})
	if err != nil {
		panic(err)
	}
	defer set.Close()
	engine, err := dispatcher.New(dispatcher.Config{Routes: set.Routes})
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(context.Background()) }()
	e := event.Must(event.RequestPending{AccessRequest: event.AccessRequest{Justification: `a "quoted" reason`}}, event.Meta{})
	if err := engine.Dispatch(context.Background(), e); err != nil {
		panic(err)
	}
	<-arrived
	if err := engine.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(<-ended)
	// Output:
	// /hooks/4f1c2 pam {"summary": "a \"quoted\" reason"}
	// <nil>
}

// A document shows no secret that was written into it.
func ExampleDocument_YAML() {
	set, err := config.Load("routes.yaml", []byte(`
channels:
  - {type: webhook, name: audit, url: "https://audit.example.com/hooks/4f1c2", auth: {kind: bearer, token: 9a8b7c}}
routes:
  - {name: audit, channel: audit}
`), config.Options{})
	if err != nil {
		panic(err)
	}
	defer set.Close()
	fmt.Print(string(set.Document.YAML()))
	// Output:
	// channels:
	// - type: webhook
	//   name: audit
	//   url: https://audit.example.com/[redacted]
	//   auth:
	//     kind: bearer
	//     token: '[redacted]'
	// routes:
	// - name: audit
	//   channel: audit
}

func ExampleLoad_errors() {
	_, err := config.Load("routes.yaml", []byte(`
channels:
  - type: webhook
    name: audit
    url: https://audit.example.com/hooks
    headres: [{name: X-Source, value: pam}]
routes:
  - {name: audit, channel: audits, timeout: 30}
`), config.Options{})
	fmt.Println(err)
	// Output:
	// routes.yaml:6:5: channels[0].headres is not a field; did you mean headers?
	// routes.yaml:8:28: routes[0].channel names no channel; name one of the channels; did you mean "audit"?
	// routes.yaml:8:45: routes[0].timeout has no unit; write a number and a unit, such as 90s, 15m or 2h, or none
}

// A tenant's document is changed while others' receive events: only what the change is about is touched.
func ExampleApply() {
	monitor := health.New(health.Options{})
	engine, err := dispatcher.New(dispatcher.Config{Observers: []dispatcher.Observer{monitor.Observer()}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	sets := map[string]*config.Set{}
	apply := func(tenant string, next *config.Set, err error) {
		if err == nil {
			sets[tenant], err = config.Apply(ctx, engine, monitor, sets[tenant], next)
		}
		if err != nil {
			panic(err)
		}
	}
	const document = `
channels:
  - {type: webhook, name: audit, url: "https://audit.example.com/hooks", auth: {kind: bearer, token: 9a8b7c}}
routes:
  - {name: audit, channel: audit, events: [session.*]}
`
	for _, tenant := range []string{"acme", "globex"} {
		next, err := config.Load("routes.yaml", []byte(document), config.Options{Tenant: tenant})
		apply(tenant, next, err)
	}

	// The form of a user interface, which shows no secrets, comes back with another field.
	options := config.Options{Tenant: "acme", Previous: sets["acme"]}
	form := strings.Replace(string(sets["acme"].Document.Channel("audit")), "{", `{"content_type": "application/json; charset=utf-8",`, 1)
	_, err = sets["acme"].Document.SetChannel("audit", []byte(form), options)
	fmt.Println(err) // the URL was not shown, and is kept, as is the token
	edited, err := sets["acme"].Document.SetState("audit", dispatcher.Paused)
	if err != nil {
		panic(err)
	}
	next, err := edited.Load(options)
	apply("acme", next, err)
	for _, tenant := range []string{"acme", "globex"} {
		fmt.Println(tenant, sets[tenant].Routes[0].State)
		apply(tenant, nil, nil)
	}
	_, err = edited.SetChannel("audit", []byte("type: webhook\nurl: http://audit.example.com/hooks"), options)
	fmt.Println(err)
	// Output:
	// <nil>
	// acme paused
	// globex enabled
	// 2:6: url is not encrypted; use https://, or limits that allow http://
}
