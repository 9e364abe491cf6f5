// Tenants runs the documents of three tenants in one engine. Their channels and routes have the same names. One tenant
// is edited while another's receiver hangs, and a third one is removed. The receivers are real HTTP servers on this
// machine. Nothing to install, nothing leaves the machine.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// scenario is the program, for a test to look at what really arrived.
type scenario struct {
	*dispatcher.Engine
	out     io.Writer
	tenants []*tenant
	printed map[*tenant]int // how many of its requests
	hangs   chan struct{}   // closed when what hangs is answered
}

func run(ctx context.Context, out io.Writer, watching ...dispatcher.Observer) (*scenario, error) {
	s := &scenario{out: out, printed: map[*tenant]int{}, hangs: make(chan struct{})}
	var err error
	if s.Engine, err = dispatcher.New(dispatcher.Config{Observers: watching, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	err = s.play(ctx)
	close(s.hangs)
	err = errors.Join(err, s.Shutdown(ctx), <-stopped)
	for _, t := range s.tenants {
		err = errors.Join(err, t.close())
	}
	return s, err
}

func (s *scenario) play(ctx context.Context) error {
	s.say("Three documents come into force in one engine, each with channels and routes tickets and audit.")
	for _, id := range []string{"acme", "globex", "initech"} {
		t, err := newTenant(id)
		if err != nil {
			return err
		}
		s.tenants = append(s.tenants, t)
		if err := s.timed(id+".yaml is in force after", func() error { return t.load(ctx, s.Engine) }); err != nil {
			return err
		}
	}
	acme, globex, initech := s.tenants[0], s.tenants[1], s.tenants[2]

	s.say("A request for access at each of them. Globex's ticket system takes it and does not answer.")
	globex.receiver.Handle(func(r webhooktest.Request) (usual webhooktest.Response) {
		if r.URI == "/tickets" {
			<-s.hangs
		}
		return usual
	})
	if err := errors.Join(s.request(ctx, "AR-1"), s.print(ctx, 2, s.tenants...)); err != nil {
		return err
	}

	s.say("Meanwhile Acme edits its channel tickets, in a form that shows no secrets, and saves it.")
	shown := acme.Previous.Document.Channel("tickets")
	saved := bytes.Replace(shown, []byte("{{data.friendly_id}} by"), []byte("Ticket {{data.friendly_id}} of"), 1)
	if err := s.timed("the change took", func() error { return acme.edit(ctx, s.Engine, "tickets", saved) }); err != nil {
		return err
	}
	if err := errors.Join(s.request(ctx, "AR-2"), s.print(ctx, 4, s.tenants...)); err != nil {
		return err
	}

	s.say("Initech is removed. The next request is for the others only.")
	if err := s.timed("the removal took", func() error { return initech.put(ctx, s.Engine, nil, nil) }); err != nil {
		return err
	}
	if err := errors.Join(s.request(ctx, "AR-3"), s.print(ctx, 6, acme, globex)); err != nil {
		return err
	}
	routes, err := s.Status(ctx, dispatcher.StatusFilter{Routes: []dispatcher.RouteID{{Tenant: "globex", Name: "tickets"}}})
	if err != nil {
		return err
	}
	s.say(fmt.Sprintf("Globex's ticket system answers %d requests at last, and the engine shuts down.", routes[0].InFlight))
	return nil
}

// request dispatches that somebody asks for access, once for each tenant.
func (s *scenario) request(ctx context.Context, id string) error {
	sample, _ := event.Sample(event.TypeRequestPending)
	pending, err := event.Decode[event.RequestPending](sample)
	if err != nil {
		return err
	}
	pending.FriendlyID = id
	for _, t := range s.tenants {
		e, err := event.New(pending, event.Meta{Tenant: t.Tenant})
		if err != nil {
			return err
		}
		if err := s.Dispatch(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) say(text string) { fmt.Fprintf(s.out, "\n%s\n", text) }

// timed says how long f took.
func (s *scenario) timed(what string, f func() error) error {
	began := time.Now()
	err := f()
	fmt.Fprintf(s.out, "  %s %.1f ms\n", what, float64(time.Since(began).Microseconds())/1000)
	return err
}

// print prints what the receivers got since the last time, once each has n requests in all.
func (s *scenario) print(ctx context.Context, n int, tenants ...*tenant) error {
	for _, t := range tenants {
		if err := t.receiver.Wait(ctx, n); err != nil {
			return fmt.Errorf("%s: %w", t.Tenant, err)
		}
		s.printed[t] = t.printReceived(s.out, s.printed[t])
	}
	return nil
}
