package natsqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// servers are what a table's event happens to: a cluster, a way to it that can be cut, and one that cannot.
type servers struct {
	t       *testing.T
	cluster *natstest.Cluster
	proxy   *natstest.Proxy
	direct  *nats.Conn
	js      jetstream.JetStream
	config  natsqueue.Config
}

func newServers(t *testing.T, nodes int, change ...func(*server.Options)) *servers {
	t.Helper()
	c := natstest.New(t, nodes, change...)
	s := &servers{t: t, cluster: c, proxy: natstest.NewProxy(t, c.Address(0)), direct: natstest.Connect(t, c.URL())}
	var err error
	s.js, err = jetstream.New(s.direct)
	require.NoError(t, err)
	s.config = natsqueue.Config{Name: "q", Replicas: nodes, Lease: lease, Timeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}
	return s
}

// worker is a queue whose connection goes through the proxy.
func (s *servers) worker() *natsqueue.Queue {
	s.t.Helper()
	nc := natstest.Connect(s.t, s.proxy.URL(), nats.PingInterval(200*time.Millisecond), nats.MaxPingsOutstanding(2),
		nats.DontRandomize(), nats.IgnoreDiscoveredServers())
	return s.queue(nc)
}

func (s *servers) queue(nc *nats.Conn) *natsqueue.Queue {
	s.t.Helper()
	q, err := natsqueue.New(s.t.Context(), nc, s.config)
	require.NoError(s.t, err)
	s.t.Cleanup(q.Close)
	return q
}

// forgetOwners removes what is written about workers and the lanes they own.
func (s *servers) forgetOwners() {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), "q-workers")
	require.NoError(s.t, err)
	require.NoError(s.t, stream.Purge(s.t.Context()))
}

// deleteWorkers deletes the stream of that, as the restart of a single server does.
func (s *servers) deleteWorkers() {
	s.t.Helper()
	err := s.js.DeleteStream(s.t.Context(), "q-workers")
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		require.NoError(s.t, err)
	}
}

// cutFor cuts the worker off while f runs, and until the worker knows.
func (s *servers) cutFor(f func()) {
	s.proxy.Cut()
	f()
	<-time.After(time.Second)
	s.proxy.Heal()
}

// serverEvents are what the servers can do to a lane. When one returns, they can serve again.
var serverEvents = []struct {
	name  string
	nodes int
	act   func(*servers)
}{
	{"nothing", 1, func(*servers) {}},
	{"owners forgotten", 1, (*servers).forgetOwners},
	{"owners forgotten while the worker is cut off", 1, func(s *servers) { s.cutFor(s.forgetOwners) }},
	{"workers deleted", 1, (*servers).deleteWorkers},
	{"workers deleted while the worker is cut off", 1, func(s *servers) { s.cutFor(s.deleteWorkers) }},
	{"workers deleted twice", 1, func(s *servers) { s.deleteWorkers(); s.deleteWorkers() }},
	{"connection lost and back", 1, func(s *servers) { s.cutFor(func() {}) }},
	{"answers lost", 1, func(s *servers) {
		s.proxy.CutAnswers()
		<-time.After(time.Second)
		s.proxy.Heal()
	}},
	{"server restarted", 1, func(s *servers) { s.cluster.Stop(0); s.cluster.Start(0) }},
	{"server away, then restarted", 1, func(s *servers) {
		s.cluster.Stop(0)
		<-time.After(3 * time.Second) // longer than a request waits
		s.cluster.Start(0)
	}},
	{"stream missing, then there", 1, func(s *servers) {
		require.NoError(s.t, s.js.DeleteStream(s.t.Context(), "q-jobs"))
		<-time.After(time.Second)
		s.queue(s.direct) // another process makes it again
	}},
	{"storage full, then room", 1, func(s *servers) {
		room := fill(s.t, s.direct, 1)
		<-time.After(time.Second)
		room()
	}},
	{"leader changed", 3, func(s *servers) {
		for _, name := range []string{"q-jobs", "q-workers"} {
			_, err := s.direct.RequestWithContext(s.t.Context(), "$JS.API.STREAM.LEADER.STEPDOWN."+name, nil)
			require.NoError(s.t, err)
		}
	}},
	{"leader lost", 3, func(s *servers) {
		leader := s.cluster.LeaderOf("q-jobs")
		require.GreaterOrEqual(s.t, leader, 0)
		s.cluster.Stop(leader)
		s.cluster.Start(leader)
	}},
}

// laneStates are the states a lane can be in when it happens. begin opens the lane and brings it there; resume
// makes it one that is to be served.
var laneStates = []struct {
	name          string
	begin, resume func(*stateLane)
}{
	{"serving", func(l *stateLane) { l.open(2); l.serves() }, func(*stateLane) {}},
	{"serving, a handler at work", func(l *stateLane) {
		l.open(2)
		l.block.Store(true)
		l.enqueue("busy")
		<-l.blocked
	}, func(l *stateLane) { l.block.Store(false); close(l.unblock) }},
	{"serving a strict lane whose first job waits for its retry", func(l *stateLane) {
		l.key = "strict"
		l.retryFirst.Store(true)
		l.open(1)
		l.enqueue("head")
		<-l.blocked
	}, func(*stateLane) {}},
	{"just paused", func(l *stateLane) { l.open(2); l.serves(); l.lane.Limit(0) }, func(l *stateLane) { l.lane.Limit(2) }},
	{"away, paused", func(l *stateLane) { l.open(2); l.serves(); l.lane.Limit(0); l.leaves() }, func(l *stateLane) { l.lane.Limit(2) }},
	{"away, opened paused", func(l *stateLane) { l.open(0) }, func(l *stateLane) { l.lane.Limit(2) }},
	{"away, resting by Admit", func(l *stateLane) {
		l.open(2)
		l.serves()
		l.rest.Store(true)
		l.enqueue("resting")
		l.leaves()
	}, func(l *stateLane) { l.rest.Store(false); l.lane.Limit(2) }},
	{"joining", func(l *stateLane) { l.joining = true }, func(*stateLane) {}}, // opened in the middle
	{"stopped", func(l *stateLane) { l.open(2); l.serves(); stopLane(l.t, l.lane) }, func(l *stateLane) { l.open(2) }},
}

// stateLane is a lane of the table.
type stateLane struct {
	t    *testing.T
	js   jetstream.JetStream
	q    *natsqueue.Queue // the worker's
	feed *natsqueue.Queue
	name string
	key  string
	lane queue.Lane

	joining                 bool
	rest, block, retryFirst atomic.Bool
	blocked, unblock        chan struct{}
	ran                     *ledger
}

func (l *stateLane) open(limit int) {
	l.t.Helper()
	admit := func() time.Duration {
		if l.rest.Load() {
			return time.Hour
		}
		return 0
	}
	var err error
	l.lane, err = l.q.Open(l.name, queue.LaneOptions{Limit: limit, Admit: admit}, l.handle)
	require.NoError(l.t, err)
}

func (l *stateLane) handle(_ context.Context, j queue.Job) queue.Disposition {
	if l.block.Load() {
		l.blocked <- struct{}{}
		<-l.unblock
	}
	if l.retryFirst.Load() && j.Attempt == 0 {
		l.retryFirst.Store(false)
		l.blocked <- struct{}{}
		return queue.Disposition{Action: queue.Retry, Delay: 2 * time.Second, Began: time.Now()}
	}
	l.ran.ran(j.Event.ID())
	return queue.Disposition{}
}

// enqueue stores a job, through whatever the servers do, and has the ledger expect it.
func (l *stateLane) enqueue(id string) {
	l.t.Helper()
	j := jobFor(l.name, l.name+"-"+id)
	j.OrderKey = l.key
	require.Eventually(l.t, func() bool { return l.feed.Enqueue(l.t.Context(), j) == nil }, patience, 50*time.Millisecond)
	l.ran.mu.Lock()
	defer l.ran.mu.Unlock()
	l.ran.acked[j.Event.ID()] = true
}

// serves waits until a job has run.
func (l *stateLane) serves() {
	l.t.Helper()
	l.enqueue("first")
	l.ran.await(l.t, 1)
}

// leaves waits until nobody owns the lane.
func (l *stateLane) leaves() {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return owners(l.t, l.js, "q", l.name) == 0 }, patience, 10*time.Millisecond)
}

// owners counts the owners of a lane.
func owners(t *testing.T, js jetstream.JetStream, name, lane string) int {
	t.Helper()
	s, err := js.Stream(t.Context(), name+"-workers")
	require.NoError(t, err)
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(name+".owner.*."+lane))
	require.NoError(t, err)
	return len(info.State.Subjects)
}

// Whatever the servers do while a lane is in whatever state, a lane that is to be served is served again by itself,
// and runs all that is still stored.
func TestLaneStatesAndServerEvents(t *testing.T) {
	t.Parallel()
	for _, event := range serverEvents {
		t.Run(event.name, func(t *testing.T) {
			t.Parallel()
			full := func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 }
			s := newServers(t, event.nodes, full)
			feed, q := s.queue(s.direct), s.worker()
			lanes := make([]*stateLane, len(laneStates))
			for i, state := range laneStates {
				lanes[i] = &stateLane{t: t, js: s.js, q: q, feed: feed, name: fmt.Sprintf("lane-%d", i), ran: newLedger(),
					blocked: make(chan struct{}, 8), unblock: make(chan struct{})}
				state.begin(lanes[i])
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				event.act(s)
			}()
			for _, l := range lanes {
				if l.joining {
					<-time.After(200 * time.Millisecond) // in the middle of what happens
					l.open(2)
				}
			}
			<-done
			gone := event.name == "stream missing, then there" // with what was in it
			for i, state := range laneStates {
				if gone {
					lanes[i].ran.forget()
				}
				state.resume(lanes[i])
				lanes[i].enqueue("last")
			}
			for i, state := range laneStates {
				l := lanes[i]
				timer := time.NewTimer(patience)
				for len(l.ran.missing()) > 0 {
					select {
					case <-l.ran.changed:
					case <-timer.C:
						require.Failf(t, "jobs did not run", "%s, %s: %q", state.name, event.name, l.ran.missing())
					}
				}
				timer.Stop()
			}
			var stops sync.WaitGroup
			for _, l := range lanes {
				stops.Go(func() { stopLane(t, l.lane) })
			}
			stops.Wait()
		})
	}
}

// fill stores messages until there is no room on any server, and returns what makes room again.
func fill(t *testing.T, nc *nats.Conn, replicas int) (room func()) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "filler", Subjects: []string{"filler"}, Storage: jetstream.FileStorage, Replicas: replicas,
	})
	require.NoError(t, err)
	for err == nil {
		_, err = js.Publish(t.Context(), "filler", bytes.Repeat([]byte("x"), 128<<10))
	}
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	return func() {
		require.Eventually(t, func() bool { // servers without room have no leader some of the time
			err := js.DeleteStream(t.Context(), "filler")
			return err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
		}, patience, 50*time.Millisecond)
	}
}
