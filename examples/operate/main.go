// Operate loads a YAML document with a route in the style of each of five privileged-access products and runs it
// against receivers on this machine. One of them fails until a contact gets a mail, works again, and gets what it
// missed; then the status table and the history are printed. Nothing to install, nothing leaves the machine.
package main

import (
	"context"
	_ "embed" // operate.yaml
	"errors"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the scenario, printing to out, and returns it, for a test to look at what really arrived.
func run(ctx context.Context, out io.Writer) (*scenario, error) {
	s := &scenario{out: out, systems: newReceivers(), changed: newChanges()}
	defer s.systems.Close()
	var err error
	if s.mailbox, err = smtptest.New(smtptest.Options{Mode: email.TLSNone}); err != nil {
		return nil, err
	}
	defer s.mailbox.Close()
	set, err := load(s.systems, s.mailbox)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	if s.operation, err = newOperation(set, s.changed); err != nil {
		return nil, err
	}
	s.start(ctx)
	err = s.play(ctx)
	if err := errors.Join(err, s.stop(ctx)); err != nil {
		return nil, err
	}
	return s, s.sumUp(ctx)
}

//go:embed operate.yaml
var document string

// load reads the document, with the ports that the receivers happen to have.
func load(systems *receivers, mailbox *smtptest.Server) (*config.Set, error) {
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

// occurrence makes a new event of the catalogue's example of P.
func occurrence[P event.Payload](tenant string) (event.Event, error) {
	var none P
	sample, _ := event.Sample(none.EventType())
	payload, err := event.Decode[P](sample)
	if err != nil {
		return event.Event{}, err
	}
	return event.New(payload, event.Meta{Tenant: tenant})
}
