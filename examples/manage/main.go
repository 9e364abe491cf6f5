// Manage is a small host whose two tenants manage their channels by HTTP, with API keys, while events go out. It runs
// in two processes' worth of services on one store, and plays an administrator's day against them with real requests:
// the four creates, a test against a receiver that refuses the connection, an edit that somebody else was faster
// with, another tenant's name tried, a dead letter redelivered, a secret rotated without a lost delivery, and the
// second replica that follows. Receivers are real servers on this machine. Nothing to install, nothing leaves the
// machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// keys are the API keys of this host, and what each may do. A real one looks them up.
func keys() map[string]manage.Access {
	return map[string]manage.Access{
		"key-of-priya":  {Tenant: "acme", Actor: "priya@acme.example", Role: manage.Editor | manage.Operator, Payloads: true},
		"key-of-ingrid": {Tenant: "globex", Actor: "ingrid@globex.example", Role: manage.Editor},
		"key-of-tomas":  {Tenant: "acme", Actor: "tomas@acme.example", Role: manage.Viewer},
	}
}

func access(r *http.Request) (manage.Access, error) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, ok := keys()[key]
	if !ok {
		return manage.Access{}, manage.ErrUnauthenticated
	}
	return a, nil
}

// optionsOf are those of a replica. Its documents may have channels on this machine, because the receivers are here.
func optionsOf(replica string, documents manage.Documents, sealer manage.Sealer) (manage.Options, error) {
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return manage.Options{}, err
	}
	perTenant := config.Options{
		Types:    config.NewRegistry(map[string]config.Type{"sns": topics()}),
		Networks: map[string]*netguard.Guard{"public": guard},
		Limits:   map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}},
	}
	return manage.Options{
		Replica: replica, Documents: documents, Sealer: sealer, Logger: slog.New(slog.DiscardHandler),
		Config: func(string) config.Options { return perTenant },
	}, nil
}

// topics stands for package snsconfig, a module of its own, so that this example needs no AWS SDK.
func topics() config.Type {
	return config.Type{
		Doc:    "A topic of Amazon SNS.",
		Fields: []config.Field{{Name: "topic_arn", Required: true, Destination: true, Doc: "ARN of the topic."}},
		Make: func(config.Settings, config.Environment) (channel.Channel, error) {
			return new(topic), nil
		},
	}
}

type topic struct{}

// Send takes everything.
func (*topic) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	return channel.Receipt{}, nil
}

// shared is a store that both replicas use: the last one to end closes it, which is this program.
type shared struct{ manage.Documents }

func run(ctx context.Context, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sealer, err := manage.NewKeys("example", map[string][]byte{"example": []byte(strings.Repeat("k", manage.KeySize))})
	if err != nil {
		return err
	}
	store := manage.NewMemory()
	d := &day{ctx: ctx, out: out}
	var hosts sync.WaitGroup
	ended := make([]error, 2)
	for i, name := range []string{"one", "two"} {
		o, err := optionsOf(name, shared{store}, sealer)
		if err != nil {
			return err
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		started := make(chan *manage.Service, 1)
		hosts.Go(func() {
			ended[i] = serve(ctx, l, o, access, func(s *manage.Service) { started <- s })
			close(started)
		})
		d.replicas = append(d.replicas, replica{<-started, "http://" + l.Addr().String() + "/api/v1"})
		if d.replicas[i].service == nil {
			stop()
			hosts.Wait()
			return errors.Join(ended...)
		}
	}
	err = d.play()
	d.client.CloseIdleConnections()
	stop()
	hosts.Wait()
	if err == nil {
		_, err = fmt.Fprintln(out, "Both replicas have shut down with nothing left.")
	}
	return errors.Join(err, errors.Join(ended...), store.Close())
}
