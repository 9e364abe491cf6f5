// Cluster delivers through three NATS servers and two workers, each a process of its own, and kills one of either with
// -9 in the middle. At the receiver it counts: every event arrived, how many twice, how long the longest pause was.
// Nothing to install: the servers are linked into this program, and nothing leaves the machine.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/event"
)

const (
	nodes   = 3
	workers = 2
	events  = 800
	pace    = 5 * time.Millisecond // between two events
	lease   = 2 * time.Second      // after which a dead worker's deliveries are given to others
)

func main() {
	if child() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// summary is what the receiver saw.
type summary struct {
	Dispatched, Arrived, Twice int
	Pause                      time.Duration
}

func run(ctx context.Context, out io.Writer) (summary, error) {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	to := newReceiver()
	defer to.Close()
	dir, err := os.MkdirTemp("", "tocsin-cluster-")
	if err != nil {
		return summary{}, err
	}
	defer os.RemoveAll(dir)
	servers, urls, err := startNodes(ctx, dir)
	defer stopAll(servers)
	if err != nil {
		return summary{}, err
	}
	say("three NATS servers run")
	nc, err := connect(urls)
	if err != nil {
		return summary{}, err
	}
	defer nc.Close()
	q, err := openQueue(ctx, nc)
	if err != nil {
		return summary{}, err
	}
	defer q.Close()
	// This process only dispatches: its Engine never runs, so it needs the routes and no working channel.
	engine, err := dispatcher.New(dispatcher.Config{Queue: q, Routes: routes(dispatchOnly())})
	if err != nil {
		return summary{}, err
	}
	working, err := startWorkers(ctx, urls, to.URL)
	defer stopAll(working)
	if err != nil {
		return summary{}, err
	}
	say("two workers deliver; %d events are dispatched, one every %v", events, pace)

	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := range events {
		switch n {
		case events / 4:
			leader, err := leaderOf(ctx, nc)
			if err != nil {
				return summary{}, err
			}
			servers[leader].kill()
			say("kill -9 of server %d, which led the stream, after %d events; %d have arrived", leader, n, to.arrived())
		case events / 2:
			working[0].kill()
			say("kill -9 of a worker, after %d events; %d have arrived", n, to.arrived())
		}
		// A host keeps an event until Dispatch returns nil, and dispatches it again otherwise.
		e := event.Must(event.GrantRevoked{Reason: "example"}, event.Meta{Subject: fmt.Sprintf("grant-%d", n)})
		for err = engine.Dispatch(ctx, e); err != nil; err = engine.Dispatch(ctx, e) {
			if ctx.Err() != nil {
				return summary{}, err
			}
			say("dispatched again: %v", err)
		}
		<-ticker.C
	}
	say("all are dispatched")
	if err := to.wait(ctx, events); err != nil {
		return summary{}, fmt.Errorf("%d of %d events arrived: %w", to.arrived(), events, err)
	}
	if err := drained(ctx, q); err != nil {
		return summary{}, err
	}
	o := summary{Dispatched: events, Arrived: to.arrived(), Twice: to.repeated(), Pause: to.pause()}
	say("%d of %d events arrived, %d of them more than once; the longest pause was %v",
		o.Arrived, o.Dispatched, o.Twice, o.Pause.Round(10*time.Millisecond))
	return o, engine.Shutdown(ctx)
}

// openQueue opens the queue the same way in every process.
func openQueue(ctx context.Context, nc *nats.Conn) (*natsqueue.Queue, error) {
	return natsqueue.New(ctx, nc, natsqueue.Config{Replicas: nodes, Lease: lease, Timeout: 30 * time.Second})
}

// connect reconnects forever, whichever server is there.
func connect(urls string) (*nats.Conn, error) {
	return nats.Connect(urls, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(10*time.Second))
}

// leaderOf is the number of the server that leads the stream of jobs.
func leaderOf(ctx context.Context, nc *nats.Conn) (int, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(ctx, "tocsin-jobs")
	if err != nil {
		return 0, err
	}
	var n int
	_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, nodeName, &n)
	return n, err
}

// drained waits until the queue holds nothing, so that what comes twice has come.
func drained(ctx context.Context, q *natsqueue.Queue) error {
	for {
		c, err := q.Count(ctx, routeName)
		if err != nil || c.Waiting()+c.Running == 0 {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
