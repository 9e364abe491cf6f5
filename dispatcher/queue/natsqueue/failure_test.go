package natsqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// feeders enqueue from several goroutines at a time until they are to stop.
func feeders(t *testing.T, l *ledger, q *natsqueue.Queue, lane string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() { l.feed(ctx, q, lane, fmt.Sprint(n)) })
	}
	return func() { cancel(); wg.Wait() }
}

const laneLimit = 4

// Q1: the server that leads the stream goes and comes back under load, then another: nothing acknowledged is lost.
func TestQ1NodeLost(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 3)
	s := store("3", "jobs", c.URL())
	l := newLedger()
	for range 2 {
		openLane(t, openFor(t, s), "lane", laneLimit, l.handler(time.Millisecond))
	}
	stop := feeders(t, l, openFor(t, s), "lane")
	l.await(t, 100)
	for range 2 {
		leader := c.LeaderOf("jobs-jobs")
		require.GreaterOrEqual(t, leader, 0)
		_, before, _ := l.count()
		c.Stop(leader)
		l.await(t, before+100) // work goes on without it
		c.Start(leader)
		acked, _, _ := l.count()
		require.Eventually(t, func() bool { now, _, _ := l.count(); return now > acked+50 }, patience, 10*time.Millisecond)
	}
	stop()
	// What ran again was acknowledged to a leader that went before the others knew.
	l.settled(t, 2*2*laneLimit)
}

// Q1: the only server is restarted under load.
func TestQ1ServerRestarted(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	s := store("1", "jobs", c.URL())
	l := newLedger()
	openLane(t, openFor(t, s), "lane", laneLimit, l.handler(time.Millisecond))
	stop := feeders(t, l, openFor(t, s), "lane")
	l.await(t, 100)
	c.Stop(0)
	c.Start(0)
	before, _, _ := l.count()
	require.Eventually(t, func() bool { acked, _, _ := l.count(); return acked > before+100 }, patience, 10*time.Millisecond)
	stop()
	l.settled(t, laneLimit)
}

// Q9: the network between one worker and the cluster is cut for longer than the lease, without a word. The other worker
// gets what the first one had; what the first one finishes in the dark ran twice, and no more than that.
func TestQ9NetworkCut(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 3)
	s := store("3", "jobs", c.URL())
	proxy := natstest.NewProxy(t, c.Address(0))
	l := newLedger()
	nc := natstest.Connect(t, proxy.URL(), nats.PingInterval(200*time.Millisecond), nats.MaxPingsOutstanding(3), nats.DontRandomize(),
		nats.IgnoreDiscoveredServers())
	far, err := natsqueue.New(t.Context(), nc, configOf(s))
	require.NoError(t, err)
	t.Cleanup(far.Close)
	remote := newLedger()
	openLane(t, far, "lane", laneLimit, func(ctx context.Context, j queue.Job) queue.Disposition {
		remote.ran(j.Event.ID())
		return l.handler(5*time.Millisecond)(ctx, j)
	})
	remoteFed := feeders(t, l, openFor(t, s), "lane")
	remote.await(t, 20)
	openLane(t, openFor(t, s), "lane", laneLimit, l.handler(5*time.Millisecond))
	_, before, _ := l.count()
	l.await(t, before+50)
	proxy.Cut()
	<-time.After(2 * lease)
	_, before, _ = l.count()
	l.await(t, before+100) // the other worker goes on
	proxy.Heal()
	_, there, _ := remote.count()
	remote.await(t, there+20) // and the first one is back
	remoteFed()
	l.settled(t, 2*laneLimit)
}

// Q9: handlers that take longer than the lease, with many jobs behind them, keep what they have.
func TestQ9SlowConsumer(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	s := store("1", "jobs", c.URL())
	l := newLedger()
	q := openFor(t, s)
	ids := 3 * laneLimit
	for n := range ids {
		id := fmt.Sprint(n)
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", id)))
		l.acked[id] = true
	}
	for range 2 {
		openLane(t, openFor(t, s), "lane", laneLimit, l.handler(lease*3/2))
	}
	l.await(t, ids)
	l.settled(t, 0)
	assert.EqualValues(t, laneLimit, l.most.Load(), "the limit holds for both workers together")
}

// Q1, Q6: the servers refuse what an outcome has to store, as for lack of room, until the worker is stopped: its
// message must not be acknowledged before, so the job is not lost.
func TestQ1OutcomeThatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]queue.Disposition{
		"later": {Action: queue.Retry, Delay: time.Hour}, "again": {Action: queue.Retry}, "dead": {Action: queue.Dead, Reason: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := natstest.Connect(t, natstest.New(t, 1).URL())
			q, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1, Lease: lease, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			t.Cleanup(q.Close)
			started, release := make(chan struct{}), make(chan struct{})
			lane, err := q.Open("lane", queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition {
				close(started)
				<-release
				return out
			})
			require.NoError(t, err)
			require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
			<-started
			refuse(t, nc, 1)
			close(release)
			patient, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			require.NoError(t, lane.Stop(patient), "the handler has returned; its outcome is lost")
			refuse(t, nc, -1)
			l := newLedger()
			openLane(t, q, "lane", 1, l.handler(0))
			l.await(t, 1)
		})
	}
}

// refuse makes the streams refuse messages longer than that; -1 = none.
func refuse(t *testing.T, nc *nats.Conn, longest int32) {
	t.Helper()
	refuseIn(t, nc, "tocsin", longest)
}

// refuseIn is refuse for the queue of a name.
func refuseIn(t *testing.T, nc *nats.Conn, of string, longest int32) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, name := range []string{of + "-jobs", of + "-dead"} {
		s, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		c := s.CachedInfo().Config
		c.MaxMsgSize = longest
		_, err = js.UpdateStream(t.Context(), c)
		require.NoError(t, err)
	}
}
