package natsqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
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

// Q6: the server delivers the message of a strict job again for each attempt, without a bound of its own.
func TestQ6StrictJobIsRetriedManyTimes(t *testing.T) {
	t.Parallel()
	const retries = 12
	q := openFor(t, store("1", "jobs", natstest.New(t, 1).URL()))
	attempts := make(chan int, 2*retries)
	openLane(t, q, "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		attempts <- j.Attempt
		if j.Attempt < retries {
			return queue.Disposition{Action: queue.Retry, Delay: time.Millisecond, Began: time.Now()}
		}
		return queue.Disposition{}
	})
	j := jobFor("lane", "a")
	j.OrderKey = "key"
	require.NoError(t, q.Enqueue(t.Context(), j))
	for want := range retries + 1 {
		select {
		case attempt := <-attempts:
			require.Equal(t, want, attempt)
		case <-time.After(patience):
			require.Fail(t, "the job was not delivered again", "attempt %d", want)
		}
	}
}

// Q7: the attempts of the job at the head of a strict lane outlive what is known of its owner.
func TestQ7HeadOutlivesTheOwner(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	q := openFor(t, s)
	attempts := make(chan int, 2)
	handler := func(_ context.Context, j queue.Job) queue.Disposition {
		attempts <- j.Attempt
		if j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Delay: 100 * time.Millisecond, Began: time.Now()}
		}
		return queue.Disposition{}
	}
	lane, err := q.Open("lane", queue.LaneOptions{Limit: 1}, handler)
	require.NoError(t, err)
	j := jobFor("lane", "a")
	j.OrderKey = "key"
	require.NoError(t, q.Enqueue(t.Context(), j))
	require.Zero(t, <-attempts)
	stopLane(t, lane)
	js, err := jetstream.New(natstest.Connect(t, strings.Split(s, " ")[2]))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "jobs-workers"))
	openLane(t, q, "lane", 1, handler)
	assert.Equal(t, 1, <-attempts)
}

// Q9: a worker that was cut off for longer than the lease is given its own jobs again. It does not run them beside
// themselves.
func TestQ9WorkerIsGivenItsOwnJobAgain(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	proxy := natstest.NewProxy(t, c.Address(0))
	nc := natstest.Connect(t, proxy.URL(), nats.PingInterval(100*time.Millisecond), nats.MaxPingsOutstanding(2),
		nats.IgnoreDiscoveredServers())
	q, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1, Lease: time.Second})
	require.NoError(t, err)
	t.Cleanup(q.Close)
	var runs atomic.Int64
	started, release := make(chan struct{}, 2), make(chan struct{})
	openLane(t, q, "lane", 2, func(context.Context, queue.Job) queue.Disposition {
		runs.Add(1)
		started <- struct{}{}
		<-release
		return queue.Disposition{}
	})
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	<-started
	near := natstest.Connect(t, c.URL())
	js, err := jetstream.New(near)
	require.NoError(t, err)
	before := ownerOf(t, js, "lane")
	proxy.Cut()
	<-time.After(4 * time.Second)
	proxy.Heal()
	// It has a new name as a worker, and owns the lane again.
	require.Eventually(t, func() bool { return owners(t, js, "tocsin", "lane") == 1 && before != ownerOf(t, js, "lane") }, patience, 10*time.Millisecond)
	// A job that comes after it has also come after it to the worker.
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "b")))
	<-started
	assert.EqualValues(t, 2, runs.Load())
	close(release)
	require.Eventually(t, func() bool { return natstest.State(t, near, "tocsin-jobs").Msgs == 0 }, patience, 10*time.Millisecond)
	assert.EqualValues(t, 2, runs.Load())
}

// ownerOf is the worker that owns a lane; "" = none.
func ownerOf(t *testing.T, js jetstream.JetStream, lane string) string {
	t.Helper()
	s, err := js.Stream(t.Context(), "tocsin-workers")
	require.NoError(t, err)
	m, err := s.GetLastMsgForSubject(t.Context(), "tocsin.owner.*."+lane)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return ""
	}
	require.NoError(t, err)
	return strings.Split(m.Subject, ".")[2]
}
