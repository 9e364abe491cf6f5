package natsqueue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Queue is a queue.Queue on JetStream. Any number of processes may use it at a time, each with a Queue of its own.
type Queue struct {
	config Config
	names  naming
	nc     *nats.Conn
	js     jetstream.JetStream
	streams

	mu    sync.Mutex
	lanes map[string]*lane // open ones
	// removals are the messages of cancelled jobs that could not be removed, by number.
	removals map[uint64]bool

	clock *clock
	// maxPayload is the connection's, which cannot be asked for it while it connects again.
	maxPayload atomic.Int64
	watch      watch
	known      known
	inFlight   inFlight
	answers    answers
	setUps     chan struct{}   // has room for as many consumers as are set up at a time
	ctx        context.Context // of what the Queue itself runs
	end        context.CancelFunc
	ended      sync.WaitGroup
}

var _ queue.Queue = (*Queue)(nil)

// New sets the queue's streams up, or finds them, and returns the queue. nc brings credentials, TLS, and the
// addresses of the servers; it should reconnect for ever (nats.MaxReconnects(-1)), and the Queue does not close it.
// Errors are joined *channel.ConfigErrors, a *NoJetStreamError, *ServerError, *VersionError, or JetStream's own.
func New(ctx context.Context, nc *nats.Conn, c Config) (*Queue, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if version := nc.ConnectedServerVersion(); tooOld(version) {
		return nil, &ServerError{Version: version}
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(jsapi.Timeout), jetstream.WithPublishAsyncMaxPending(maxPublishing))
	if err != nil {
		return nil, fmt.Errorf("natsqueue: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := haveJetStream(ctx, nc); err != nil {
		return nil, err
	}
	s, err := setUp(ctx, js, c)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		config: c, names: naming(c.Name), nc: nc, js: js, streams: s, clock: newClock(time.Now()),
		lanes: map[string]*lane{}, known: newKnown(), answers: newAnswers(), setUps: make(chan struct{}, maxSetUps),
	}
	q.maxPayload.Store(nc.MaxPayload())
	if err := q.readClock(ctx); err != nil {
		return nil, setUpError(q.names.jobs(), err)
	}
	q.ctx, q.end = context.WithCancel(context.Background())
	q.ended.Go(q.keepLeases)
	q.ended.Go(q.sendAnswers)
	q.ended.Go(q.watchSchedules)
	return q, nil
}

// maxSetUps is how many lanes ask for their consumers at a time: the servers make one after another, and a thousand
// requests at once would time out and come again.
const maxSetUps = 16

// Close ends what the Queue itself runs. Stop the lanes first, and close the connection after.
func (q *Queue) Close() {
	q.end()
	q.ended.Wait()
	q.js.CleanupPublisher()
}

// precision is what message schedules were measured to need: the server looks for due ones four times a second, and
// writes each as a new message.
const precision = time.Second

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties {
	return queue.Properties{
		Durable:    true,
		Precision:  precision,
		Scheduling: true,
		Inspection: true,
		IDWindow: fmt.Sprintf("%v after it was stored; those of finished jobs are forgotten when all servers restart at a time",
			q.config.IDWindow),
	}
}

// Bound implements queue.Queue and changes nothing: the servers' disk is the bound.
func (*Queue) Bound(string, queue.Bound) {}

// Open implements queue.Queue. The limit holds for all workers of the lane together: the one set last, by whichever
// process, counts. A pause (0) is the process's own. It succeeds also while no server answers; serving begins when
// one does.
func (q *Queue) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes[name] != nil {
		return nil, queue.ErrLaneOpen
	}
	l := newLane(q, name, o, h)
	q.lanes[name] = l
	go l.use()
	return l, nil
}

// forget makes room for the lane to be opened again.
func (q *Queue) forget(l *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes[l.name] == l {
		delete(q.lanes, l.name)
	}
}

// lane returns the open lane of that name, or nil.
func (q *Queue) lane(name string) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[name]
}

// bounded gives a call the queue's timeout.
func (q *Queue) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, q.config.Timeout)
}
