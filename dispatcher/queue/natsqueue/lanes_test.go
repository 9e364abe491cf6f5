package natsqueue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
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

// workersState is what the servers hold of workers and owners.
func workersState(t *testing.T, nc *nats.Conn, name string) jetstream.StreamState {
	t.Helper()
	return natstest.State(t, nc, name+"-workers")
}

// Ten thousand lanes are served without a consumer, beside one whose handlers hang and one that is paused with a
// backlog. What the lanes leave at the servers when they are closed is nothing.
func TestTenThousandLanes(t *testing.T) {
	t.Parallel()
	const lanes, each = 10_000, 3
	s := newServers(t, 1)
	s.config.Lease, s.config.Timeout = 20*time.Second, time.Minute
	q, feed := s.queue(s.direct), s.queue(natstest.Connect(t, s.cluster.URL()))
	hanging := make(chan struct{}, 4)
	release := make(chan struct{})
	openLane(t, q, "hangs", 4, func(context.Context, queue.Job) queue.Disposition {
		hanging <- struct{}{}
		<-release
		return queue.Disposition{}
	})
	openLane(t, q, "paused", 0, newLedger().handler(0))
	var backlog []queue.Job
	for n := range 2000 {
		backlog = append(backlog, jobFor("hangs", fmt.Sprint("h", n)), jobFor("paused", fmt.Sprint("p", n)))
	}
	require.NoError(t, feed.Enqueue(t.Context(), backlog...))
	for range 4 {
		<-hanging
	}

	var done atomic.Int64
	var mu sync.Mutex
	latest := map[string]string{} // of each lane
	all := make(chan struct{})
	opened := make([]queue.Lane, lanes)
	for n := range lanes {
		var err error
		opened[n], err = q.Open(fmt.Sprintf("tenant-%d/audit", n), queue.LaneOptions{Limit: 1}, func(_ context.Context, j queue.Job) queue.Disposition {
			mu.Lock()
			assert.Less(t, latest[j.Lane], j.Event.ID(), "order of lane %s", j.Lane)
			latest[j.Lane] = j.Event.ID()
			mu.Unlock()
			if done.Add(1) == lanes*each {
				close(all)
			}
			return queue.Disposition{}
		})
		require.NoError(t, err)
	}
	began := time.Now()
	for k := range each {
		for from := 0; from < lanes; from += 500 {
			var jobs []queue.Job
			for n := from; n < from+500; n++ {
				j := jobFor(fmt.Sprintf("tenant-%d/audit", n), fmt.Sprintf("e%d-%d", k, n))
				j.OrderKey = "strict"
				jobs = append(jobs, j)
			}
			require.NoError(t, feed.Enqueue(t.Context(), jobs...))
		}
	}
	select {
	case <-all:
	case <-time.After(patience):
		require.Fail(t, "not all lanes are served", "%d of %d", done.Load(), lanes*each)
	}
	consumers := natstest.State(t, s.direct, "q-jobs").Consumers + workersState(t, s.direct, "q").Consumers
	t.Logf("%d lanes, %d jobs in %v, %d consumers", lanes, lanes*each, time.Since(began), consumers)
	assert.Zero(t, consumers)
	c, err := q.Count(t.Context(), "hangs")
	require.NoError(t, err)
	assert.Equal(t, queue.Counts{Running: 4, Due: 1996}, c)

	_, err = q.Purge(t.Context(), "hangs")
	require.NoError(t, err)
	close(release)
	var stops sync.WaitGroup
	for n := range 64 {
		stops.Go(func() {
			for ; n < lanes; n += 64 {
				stopLane(t, opened[n])
			}
		})
	}
	stops.Wait()
	require.Eventually(t, func() bool { return workersState(t, s.direct, "q").Msgs <= 3 }, patience, 10*time.Millisecond,
		"two workers at most, and the owner of the lane that hung")
}

// formerConsumers makes the consumers of a program of version 1, one for each lane, one of them with a message out.
func formerConsumers(t *testing.T, js jetstream.JetStream, stream jetstream.Stream, lanes ...string) {
	t.Helper()
	for _, lane := range lanes {
		c, err := js.CreateConsumer(t.Context(), stream.CachedInfo().Config.Name, jetstream.ConsumerConfig{
			Durable: lane, FilterSubject: "q.ready." + lane + ".*", DeliverPolicy: jetstream.DeliverAllPolicy,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: 1,
			Metadata: map[string]string{"tocsin.version": "1"},
		})
		require.NoError(t, err)
		_, err = c.Fetch(1, jetstream.FetchMaxWait(100*time.Millisecond))
		require.NoError(t, err)
	}
}

// A stream that version 1 made opens: its jobs run, those with a time and those of a strict lane with the attempts made
// as well, and its consumers are gone.
func TestStreamOfVersion1(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	stream, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "q-jobs", Subjects: []string{"q.ready.>", "q.later.>", "q.timed.>", "q.head.*"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage, Replicas: 1, Duplicates: 5 * time.Minute, AllowRollup: true, AllowMsgSchedules: true, AllowDirect: true,
		Metadata: map[string]string{"tocsin.version": "1"},
	})
	require.NoError(t, err)
	publish := func(subject string, j queue.Job, numbers string, more nats.Header) uint64 {
		m := &nats.Msg{Subject: subject, Header: nats.Header{"Tocsin-Job": {numbers}}, Data: j.Event.JSON()}
		for name, value := range more {
			m.Header[name] = value
		}
		ack, err := s.js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
		return ack.Sequence
	}
	now := time.Now()
	enqueued := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())
	publish("q.ready.plain.job", jobFor("plain", "a"), "1 "+enqueued+" - - 0 0", nil)
	publish("q.ready.plain.job", jobFor("plain", "b"), "1 "+enqueued+" - "+enqueued+" 2 0", nil)
	first := publish("q.ready.strict.job", jobFor("strict", "c"), "1 "+enqueued+" - - 0 0", nats.Header{"Tocsin-Order-Key": {"k"}})
	publish("q.ready.strict.job", jobFor("strict", "d"), "1 "+enqueued+" - - 0 0", nats.Header{"Tocsin-Order-Key": {"k"}})
	_, err = s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "q.head.strict", Header: nats.Header{
		"Nats-Rollup": {"sub"}, "Tocsin-Job": {"1 " + enqueued + " - " + enqueued + " 3 0"}, "Tocsin-Head": {fmt.Sprint(first)},
	}})
	require.NoError(t, err)
	at := now.Add(2 * time.Second)
	publish(fmt.Sprintf("q.later.plain.x.0.%d", at.Unix()/10), jobFor("plain", "e"), fmt.Sprintf("1 %s %d.%09d - 0 0", enqueued, at.Unix(), at.Nanosecond()),
		nats.Header{"Nats-Schedule": {"@at " + at.UTC().Format(time.RFC3339Nano)}, "Nats-Schedule-Target": {"q.ready.plain.job"}})
	formerConsumers(t, s.js, stream, "plain", "strict", "gone")

	q := s.queue(s.direct)
	assert.Zero(t, natstest.State(t, s.direct, "q-jobs").Consumers)
	runs := make(chan string, 10)
	for _, lane := range []string{"plain", "strict"} {
		openLane(t, q, lane, 1, func(_ context.Context, j queue.Job) queue.Disposition {
			runs <- fmt.Sprint(j.Event.ID(), j.Attempt)
			return queue.Disposition{}
		})
	}
	var got []string
	for range 5 {
		select {
		case id := <-runs:
			got = append(got, id)
		case <-time.After(patience):
			require.Fail(t, "jobs of version 1 do not run", "%v", got)
		}
	}
	assert.ElementsMatch(t, []string{"a0", "b2", "c3", "d0", "e0"}, got)
	order := strings.Join(got, " ")
	assert.Less(t, strings.Index(order, "a0"), strings.Index(order, "b2"))
	assert.Less(t, strings.Index(order, "c3"), strings.Index(order, "d0"))
}

// A worker that joins gets its part of the lanes that have a backlog, and the one that leaves loses nothing.
func TestLanesAreShared(t *testing.T) {
	t.Parallel()
	const lanes, each = 20, 100
	s := newServers(t, 1)
	feed := s.queue(s.direct)
	l := newLedger()
	var counts [2]atomic.Int64
	work := func(n int) *natsqueue.Queue {
		q := s.queue(natstest.Connect(t, s.cluster.URL()))
		for i := range lanes {
			openLane(t, q, fmt.Sprint("lane", i), 1, func(ctx context.Context, j queue.Job) queue.Disposition {
				counts[n].Add(1)
				return l.handler(20*time.Millisecond)(ctx, j)
			})
		}
		return q
	}
	for k := range each {
		var jobs []queue.Job
		for i := range lanes {
			id := fmt.Sprintf("%d-%d", i, k)
			jobs = append(jobs, jobFor(fmt.Sprint("lane", i), id))
			l.acked[id] = true
		}
		require.NoError(t, feed.Enqueue(t.Context(), jobs...))
	}
	work(0)
	l.await(t, lanes)
	work(1)
	l.settled(t, 0)
	t.Logf("%d and %d jobs", counts[0].Load(), counts[1].Load())
	assert.Greater(t, counts[1].Load(), int64(lanes*each/10), "of the lanes it found taken it gets some")
}

// A lane without jobs has no owner after a while, so that nothing waits for the lease of a worker that dies meanwhile;
// the next job is run as ever.
func TestIdleLaneIsLeft(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	s.config.Lease = time.Second
	q := s.queue(s.direct)
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	for n := range 2 {
		require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", fmt.Sprint(n))))
		l.await(t, n+1)
		require.Eventually(t, func() bool { return owners(t, s.js, "q", "lane") == 0 }, patience, 10*time.Millisecond)
	}
}

// A lane that cannot be served says so.
func TestLaneThatIsNotServedSaysSo(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	q := s.queue(s.direct)
	unserved := func(want bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			c, err := q.Count(t.Context(), "lane")
			return err == nil && (c.Unserved != "") == want
		}, patience, 10*time.Millisecond)
	}
	stop := refuseAll(t, s)
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	unserved(true)
	stop()
	l.await(t, 1)
	unserved(false)
}

// refuseAll keeps workers from writing what they own, until the function it returns is called.
func refuseAll(t *testing.T, s *servers) func() {
	t.Helper()
	set := func(longest int32) {
		stream, err := s.js.Stream(t.Context(), "q-workers")
		require.NoError(t, err)
		c := stream.CachedInfo().Config
		c.MaxMsgSize = longest
		_, err = s.js.UpdateStream(t.Context(), c)
		require.NoError(t, err)
	}
	set(1)
	return func() { set(-1) }
}
