package natsqueue_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestMain(m *testing.M) {
	if queuetest.Child(openStore) {
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // they wait for servers, not for the processor
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// lease is short, so that what a killed process had comes back soon; not so short that a busy machine loses one.
const lease = 2 * time.Second

// store names a queue at servers: replicas, name and URL.
func store(replicas, name, url string) string { return replicas + " " + name + " " + url }

func openStore(s string) (queue.Queue, func() error, error) {
	part := strings.Split(s, " ")
	nc, err := natstest.Dial(part[2])
	if err != nil {
		return nil, nil, err
	}
	q, err := natsqueue.New(context.Background(), nc, configOf(s))
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return q, func() error { q.Close(); nc.Close(); return nil }, nil
}

func configOf(s string) natsqueue.Config {
	part := strings.Split(s, " ")
	c := natsqueue.Config{Name: part[1], Replicas: 1, Lease: lease, Timeout: 20 * time.Second}
	if part[0] == "3" {
		c.Replicas = 3
	}
	return c
}

func openFor(t testing.TB, s string) *natsqueue.Queue {
	t.Helper()
	nc := natstest.Connect(t, strings.Split(s, " ")[2])
	q, err := natsqueue.New(t.Context(), nc, configOf(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}
