package natsqueue

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A process that serves lanes is a worker: a message in the stream of workers that the servers remove when it was not
// stored again within a lease. A lane belongs to the worker that has a message for it there; the servers take the first
// one only. So what is written of a lane is written when it changes hands, and a worker that dies loses all its lanes
// at once.

// worker is this process as a worker.
type worker struct {
	process string       // names this Queue, whatever its worker's name
	busy    atomic.Int64 // lanes that it owns and that have jobs here
	jobs    atomic.Int64 // jobs that are here
	begin   sync.Once
	feed    sync.Once
	lives   int           // how many registrations there were; of beat
	rescan  chan struct{} // makes scan look at once; has room for one

	notified atomic.Uint64 // the number of the message this process was notified of last
	suspect  atomic.Bool   // the stream of jobs may have been made anew: nothing is removed from it by its number

	mu        sync.Mutex
	id        string    // that of the registration; another one when it was lost
	since     time.Time // when its last heartbeat was sent
	seq       uint64    // of that heartbeat
	strangers time.Time // before it, only lanes that were this worker's are claimed
	loads     map[string]int64
	closed    map[string]uint64 // claims of lanes, by token, that are to be given up when a server answers
}

// registrationSlack is how much longer the servers keep a worker than it believes them to: they count whole seconds.
const registrationSlack = time.Second

var (
	errUnregistered = errors.New("the NATS servers do not know this process as a worker yet")
	errStranger     = errors.New("the NATS servers lost which worker owns which lane; its owner may claim it first")
)

// current is the worker's name; "" = its lease has ended.
func (q *Queue) current() string {
	q.worker.mu.Lock()
	defer q.worker.mu.Unlock()
	if time.Since(q.worker.since) >= q.config.Lease {
		return ""
	}
	return q.worker.id
}

// register makes this process a worker, and keeps it one until the queue is closed.
func (q *Queue) register() {
	q.worker.begin.Do(func() {
		asked, err := q.nc.Subscribe(q.names.subject(kindAsk, q.worker.process), q.answer)
		q.ended.Go(func() {
			q.keepRegistered()
			if err == nil {
				_ = asked.Unsubscribe()
			}
		})
	})
}

func (q *Queue) keepRegistered() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-timer.C:
		case <-q.ctx.Done():
			q.leaveAll()
			return
		}
		pause := q.config.Lease / 3
		if err := q.beat(); err == nil {
			failures = 0
			q.giveUpClosed()
		} else {
			pause = min(pause, jsapi.MinPause<<min(failures, 4))
			if failures++; failures == 1 && q.ctx.Err() == nil {
				q.config.Logger.Warn("tocsin: the NATS servers do not take a worker's heartbeat", "error", err)
			}
		}
		timer.Reset(pause)
	}
}

// beat stores a heartbeat. When the registration is gone, so are all lanes: it registers anew, and claims them again.
func (q *Queue) beat() error {
	w := &q.worker
	ctx, cancel := context.WithTimeout(q.ctx, q.config.Lease)
	defer cancel()
	w.mu.Lock()
	id, seq := w.id, w.seq
	w.mu.Unlock()
	if id != "" {
		if renewed, err := q.renew(ctx, id, seq); renewed || err != nil {
			return err
		}
		w.mu.Lock()
		w.since = time.Time{}
		w.mu.Unlock()
		q.loseLanes()
	}
	w.lives++
	id = w.process + "_" + strconv.Itoa(w.lives)
	sent := time.Now()
	c, err := q.storeOne(ctx, q.heartbeat(id))
	if err != nil {
		return err
	}
	w.mu.Lock()
	if c.seq < seq { // another stream, which does not know yet what others own
		w.strangers = sent.Add(q.config.Lease)
	}
	w.id, w.since, w.seq = id, sent, c.seq
	w.mu.Unlock()
	q.wakeLanes()
	return nil
}

func (q *Queue) heartbeat(id string) *nats.Msg {
	ttl := max(q.config.Lease.Truncate(time.Second), time.Second) + registrationSlack
	return &nats.Msg{
		Subject: q.names.subject(kindWorker, id), Header: nats.Header{jetstream.MsgTTLHeader: {ttl.String()}},
	}
}

// renew replaces the registration, whose number is seq, and reports false if it is gone. While it stands nobody else
// takes this worker's lanes: so a heartbeat that comes late renews, and one that comes too late does not.
func (q *Queue) renew(ctx context.Context, id string, seq uint64) (bool, error) {
	sent, m := time.Now(), q.heartbeat(id)
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(seq, 10)}
	for {
		c, err := q.storeOne(ctx, m)
		if jsapi.IsConflict(err) { // or an earlier try was stored, and its confirmation lost
			var last *jetstream.RawStreamMsg
			last, err = q.get(ctx, q.names.workers(), jsapi.Query{LastOf: m.Subject})
			switch {
			case jsapi.IsNotFound(err) || errors.Is(err, jetstream.ErrStreamNotFound):
				return false, nil
			case err == nil && last.Sequence == seq: // that try is on its way through the replicas
				if !jsapi.Sleep(ctx, jsapi.MinPause) {
					return false, ctx.Err()
				}
				continue
			case err == nil:
				c.seq = last.Sequence
			}
		}
		if err != nil {
			return false, err
		}
		lapsed := q.current() == ""
		q.worker.mu.Lock()
		q.worker.since, q.worker.seq = sent, c.seq
		q.worker.mu.Unlock()
		if lapsed {
			q.wakeLanes()
		}
		return true, nil
	}
}

// loseLanes makes all lanes known to be nobody's.
func (q *Queue) loseLanes() {
	for _, l := range q.allLanes() {
		l.lose()
	}
}

func (q *Queue) wakeLanes() {
	for _, l := range q.allLanes() {
		l.wake()
	}
}

// unregister ends the registration of a worker. Its lanes are then nobody's.
func (q *Queue) unregister(ctx context.Context, worker string) error {
	_, err := q.purge(ctx, q.names.workers(), q.names.subject(kindWorker, worker), 0)
	return err
}

// leaveAll gives up everything at once.
func (q *Queue) leaveAll() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if id := q.current(); id != "" {
		_ = q.unregister(ctx, id)
	}
}

// leaveTime bounds how long a lane or queue that is closed waits for the servers.
const leaveTime = time.Second
