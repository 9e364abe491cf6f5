package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

//go:embed *.yaml
var documents embed.FS

// tenant is one of many customers, with its receiver. Its changes come one after the other.
type tenant struct {
	config.Options // Tenant is its id, Previous its Set in force, nil = none
	receiver       *webhooktest.Server
}

func newTenant(id string) (*tenant, error) {
	// Public addresses over HTTPS would be the default. The receivers are on this machine, which has to be allowed on
	// purpose.
	here, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	receiver, err := webhooktest.New(webhooktest.Options{})
	if err != nil {
		return nil, err
	}
	return &tenant{receiver: receiver, Options: config.Options{
		Tenant:   id,
		Networks: map[string]*netguard.Guard{"public": here},
		Limits:   map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}},
	}}, nil
}

// load puts the tenant's document in force.
func (t *tenant) load(ctx context.Context, engine *dispatcher.Engine) error {
	name := t.Tenant + ".yaml"
	document, err := documents.ReadFile(name)
	if err != nil {
		return err
	}
	src := os.Expand(string(document), func(string) string { return strings.TrimPrefix(t.receiver.URL, "http://") })
	next, err := config.Load(name, []byte(src), t.Options)
	return t.put(ctx, engine, next, err)
}

// edit changes one channel by what a form has sent. Where the form has [redacted], the secrets stay.
func (t *tenant) edit(ctx context.Context, engine *dispatcher.Engine, channel string, form []byte) error {
	edited, err := t.Previous.Document.SetChannel(channel, form, t.Options)
	if err != nil {
		return err
	}
	next, err := edited.Load(t.Options)
	return t.put(ctx, engine, next, err)
}

// put puts a Set in force in the place of the previous one, unless it could not be loaded; nil = the tenant has no
// routes any more.
func (t *tenant) put(ctx context.Context, engine *dispatcher.Engine, next *config.Set, err error) error {
	if err == nil {
		t.Previous, err = config.Apply(ctx, engine, nil, t.Previous, next)
	}
	return err
}

// close frees what the tenant has, once nothing is sent any more.
func (t *tenant) close() error {
	t.receiver.Close()
	if t.Previous == nil {
		return nil
	}
	return t.Previous.Close()
}

// printReceived prints what the receiver got so far, besides the first ones. It returns how many requests those are.
func (t *tenant) printReceived(out io.Writer, first int) int {
	all := t.receiver.Requests()[first:]
	slices.SortFunc(all, func(a, b webhooktest.Request) int { return strings.Compare(a.URI, b.URI) })
	for _, r := range all {
		text := string(r.Body)
		if e, err := event.Parse(r.Body); err == nil {
			text = fmt.Sprintf("%s of tenant %s", e.Type(), e.Tenant())
		}
		fmt.Fprintf(out, "  %-8s %-4s %-8s  %s\n", t.Tenant, r.Method, r.URI, text)
	}
	return first + len(all)
}
