// Embed is the README's embedding example as a program: wiring (start.go), dispatching, and a shutdown on SIGTERM that
// loses nothing silently (shutdown.go). It plays the orchestrator itself: it sends itself the signal while deliveries
// are under way. tenant.go is the README's recipe for many tenants; its test runs it, and ../tenants is its program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func main() {
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer receiver.Close()
	if err := run(receiver.URL, os.Stdout); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the receiver got %d events\n", arrived.Load())
}

func run(url string, out io.Writer) error {
	// The receiver of this example is on the same machine and speaks no TLS, which has to be allowed on purpose.
	limits := netguard.Limits{AllowInsecureHTTP: true}
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return err
	}
	engine, err := start(webhook.Config{URL: url, Guard: guard, Limits: limits})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d events are dispatched and a reminder is scheduled for tomorrow; then SIGTERM comes\n", burst)
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(terminated, engine); err != nil { // the product, until it is asked to end
		return err
	}
	err = shutDown(engine)
	if left, ok := errors.AsType[*dispatcher.ShutdownError](err); ok {
		fmt.Fprintf(out, "%v\n", left)
		return nil
	}
	return err
}

// burst is how many events are on their way when the signal comes.
const burst = 200

// serve is the product: it has a busy moment, schedules tomorrow's reminder, and is then asked to end.
func serve(terminated context.Context, events *dispatcher.Engine) error {
	request := event.AccessRequest{ID: "request-1", Justification: "INC-48213"}
	for range burst {
		pending, err := event.New(event.RequestPending{AccessRequest: request}, event.Meta{})
		if err != nil {
			return err
		}
		if err := events.Dispatch(terminated, pending); err != nil {
			return err
		}
	}
	reminder, err := event.New(event.GrantExpiringSoon{Grant: event.Grant{AccessRequest: request}}, event.Meta{})
	if err != nil {
		return err
	}
	if err := events.Schedule(terminated, time.Now().Add(24*time.Hour), "expiring/grant-7", reminder); err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-terminated.Done()
	return nil
}
