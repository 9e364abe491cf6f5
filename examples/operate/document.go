package main

import (
	_ "embed"
	"os"
	"strconv"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

//go:embed operate.yaml
var document string

// load reads the document, with the ports that the receivers happen to have.
func load(systems *receivers, mailbox *relay.Relay) (*config.Set, error) {
	places := map[string]string{"receivers": systems.Listener.Addr().String(), "relay": strconv.Itoa(mailbox.Port())}
	src := os.Expand(document, func(name string) string { return places[name] })
	// Public addresses over HTTPS would be the default. The receivers are on this machine, which has to be allowed on
	// purpose.
	here, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	return config.Load("operate.yaml", []byte(src), config.Options{
		Tenants:  []string{"acme"}, // whose channel this operator's document describes
		Networks: map[string]*netguard.Guard{"here": here},
		Limits:   map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}, "relay": {Ports: []int{mailbox.Port()}}},
	})
}
