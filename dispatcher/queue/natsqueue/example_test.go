package natsqueue_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/event"
)

// A server in this process stands in for the host's cluster.
func Example() {
	dir, err := os.MkdirTemp("", "natsqueue-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	s.ReadyForConnections(10 * time.Second)

	ctx := context.Background()
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	q, err := natsqueue.New(ctx, nc, natsqueue.Config{Replicas: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()

	delivered := make(chan string)
	lane, err := q.Open("audit", queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		delivered <- j.Event.ID()
		return queue.Disposition{Action: queue.Done}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	e := event.Must(event.GrantRevoked{Reason: "left the team"}, event.Meta{ID: "revoked-1"})
	if err := q.Enqueue(ctx, queue.Job{Event: e, Lane: "audit", Enqueued: time.Now()}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("delivered", <-delivered)
	fmt.Println(lane.Stop(ctx))
	// Output:
	// delivered revoked-1
	// <nil>
}
