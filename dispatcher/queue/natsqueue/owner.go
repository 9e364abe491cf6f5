package natsqueue

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// claim makes this worker the owner of a lane, unless it has one. It returns who is.
func (q *Queue) claim(ctx context.Context, lane string, mine bool) (owner string, err error) {
	q.worker.mu.Lock()
	id, seq, early := q.worker.id, q.worker.seq, time.Now().Before(q.worker.strangers)
	q.worker.mu.Unlock()
	switch {
	case q.current() != id || id == "":
		return "", errUnregistered
	case early && !mine:
		return "", errStranger
	}
	m := &nats.Msg{Subject: q.names.subject(kindOwner, id, lane), Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader:           {"0"},
		"Nats-Expected-Last-Subject-Sequence-Subject": {q.names.subject(kindOwner, wildcard, lane)},
	}}
	for pause := jsapi.MinPause / 10; ; pause = min(2*pause, jsapi.MaxPause) {
		c, err := q.storeOne(ctx, m)
		if err == nil {
			if c.seq < seq { // another stream than the one it is registered in
				_ = q.giveUp(ctx, lane, 0)
				return "", errStranger
			}
			return id, nil
		}
		if !jsapi.IsConflict(err) {
			return "", err
		}
		owner, alive, err := q.ownerOf(ctx, lane)
		if err != nil || owner == id || alive {
			return owner, err
		}
		if owner != "" {
			if err := q.evict(ctx, owner); err != nil {
				return "", err
			}
		}
		if !jsapi.Sleep(ctx, pause) { // another's is on its way through the replicas, or has just gone
			return "", ctx.Err()
		}
	}
}

// ownerOf says who owns a lane, "" = nobody, and whether its registration stands.
func (q *Queue) ownerOf(ctx context.Context, lane string) (owner string, alive bool, err error) {
	m, err := q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindOwner, wildcard, lane)})
	if jsapi.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	owner = strings.Split(m.Subject, ".")[2]
	alive, err = found(q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindWorker, owner)}))
	return owner, alive, err
}

// evict takes all lanes from a worker, and its name.
func (q *Queue) evict(ctx context.Context, worker string) error {
	if worker == "" {
		return nil
	}
	_, err := q.purge(ctx, q.names.workers(), q.names.subject(kindOwner, worker, wildcard), 0)
	if err == nil {
		_, err = q.purge(ctx, q.names.workers(), q.names.subject(kindWorker, worker), 0)
	}
	return err
}

// headerFree says which worker has left the lane, in a message that no job is the reason for.
const headerFree = "Tocsin-Free"

// headerSeen has the number before which the worker that left a lane may have removed messages, as long as a replica may
// not know that.
const headerSeen = "Tocsin-Seen"

// replicaDelay is how long a replica may be behind, and still be taken for current.
const replicaDelay = 5 * time.Second

// giveUp makes a lane nobody's that this worker owns and has read up to a number, and lets the others know.
func (q *Queue) giveUp(ctx context.Context, lane string, seen uint64) error {
	q.worker.mu.Lock()
	id := q.worker.id
	q.worker.mu.Unlock()
	if q.config.Replicas > 1 {
		m := &nats.Msg{Subject: q.names.subject(kindLeft, lane), Header: nats.Header{
			headerSeen: {strconv.FormatUint(seen, 10)}, jetstream.MsgTTLHeader: {replicaDelay.String()},
		}}
		if err := q.store(ctx, m); err != nil {
			return err
		}
	}
	if _, err := q.purge(ctx, q.names.workers(), q.names.subject(kindOwner, id, lane), 0); err != nil {
		return err
	}
	m := &nats.Msg{Subject: q.names.subject(kindStored, lane), Header: nats.Header{headerFree: {q.worker.process}}}
	_, err := jsapi.Once(ctx, func(context.Context) (struct{}, error) { return struct{}{}, q.nc.PublishMsg(m) })
	return err
}

// handedOver is the number before which messages of a lane that are read may have been removed by its former owner.
func (q *Queue) handedOver(ctx context.Context, lane string) (uint64, error) {
	if q.config.Replicas == 1 {
		return 0, nil
	}
	info, err := jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) { return q.jobs.Info(ctx) })
	if err != nil {
		return 0, err
	}
	if info.Cluster != nil {
		for _, r := range info.Cluster.Replicas {
			if !r.Current {
				return info.State.LastSeq + 1, nil
			}
		}
	}
	m, err := q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindLeft, lane)})
	if jsapi.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(m.Header.Get(headerSeen), 10, 64)
}

// giveUpLater has a lane given up as soon as a server answers.
func (q *Queue) giveUpLater(lane string) {
	q.worker.mu.Lock()
	defer q.worker.mu.Unlock()
	q.worker.closed = append(q.worker.closed, lane)
}

// giveUpClosed gives up what giveUpLater was given, unless it has been opened again.
func (q *Queue) giveUpClosed() {
	w := &q.worker
	w.mu.Lock()
	all := w.closed
	w.closed = nil
	w.mu.Unlock()
	for _, lane := range all {
		if q.byToken(lane) != nil {
			continue
		}
		ctx, cancel := q.bounded(q.ctx)
		if q.giveUp(ctx, lane, math.MaxUint64) != nil {
			q.giveUpLater(lane)
		}
		cancel()
	}
}

func (l *lane) claim(ctx context.Context) error {
	l.mu.Lock()
	mine := l.mine || len(l.asks) > 0
	l.mu.Unlock()
	owner, err := l.q.claim(ctx, l.token, mine)
	if err != nil {
		return err
	}
	own, unsure := owner == l.q.current(), uint64(0)
	if own {
		if unsure, err = l.q.handedOver(ctx, l.token); err != nil {
			return err // it is found to be owned the next time
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mine = own; !own {
		l.owner = owner
		return nil
	}
	l.own(unsure)
	return nil
}

// own is called with the lane locked when the lane is owned.
func (l *lane) own(unsure uint64) {
	l.owned, l.owner, l.mine, l.since, l.idleSince = true, "", true, time.Now(), time.Now()
	l.unsure, l.headRead, l.ran = max(l.unsure, unsure), false, 0
	l.mostDead.Store(-1)
	l.reread()
}

// adoptable reports whether the lane opened before owns it. Called with the lane locked.
func (l *lane) adoptable() bool {
	l.before.mu.Lock()
	defer l.before.mu.Unlock()
	return l.before.owned && !l.before.serving
}

// adopt takes the lane over from the one opened before, whose handlers go on.
func (l *lane) adopt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before == nil {
		return
	}
	l.before.mu.Lock()
	defer l.before.mu.Unlock()
	if l.before.owned && !l.before.serving {
		l.before.owned = false
		l.own(max(l.before.unsure, l.before.seen))
	}
}

// leave lets others own the lane.
func (l *lane) leave() error {
	l.mu.Lock()
	l.dropHeld()
	seen := max(l.seen, l.unsure)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	err := l.q.giveUp(ctx, l.token, seen)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return err
	}
	l.owned, l.mine = false, false
	if l.yielding {
		l.yielding = false
		l.wait(slice) // the other one claims it first
	}
	l.setBusy(false)
	return nil
}

// lose is called when the servers do not know this worker any more.
func (l *lane) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owned {
		l.lost()
		l.step()
	}
}

// lost is called with the lane locked.
func (l *lane) lost() {
	l.dropHeld()
	l.owned, l.owner, l.unread = false, "", true
}

// freed is called when another worker has left the lane.
func (l *lane) freed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owner, l.unread = "", true
	l.step()
}

// setBusy counts the lane among those with jobs here. Called with the lane locked.
func (l *lane) setBusy(busy bool) {
	if l.busy == busy {
		return
	}
	if l.busy = busy; busy {
		l.q.worker.busy.Add(1)
	} else {
		l.q.worker.busy.Add(-1)
	}
}

// request asks the owner of the lane to yield it.
func (l *lane) request() {
	l.mu.Lock()
	l.asked = time.Now()
	owner := l.owner
	l.mu.Unlock()
	l.q.ask(owner, ask{Op: opYield, Lane: l.token, Worker: l.q.worker.process, Busy: l.q.worker.busy.Load()})
}

// want is called when another worker, with so many lanes to do, would own the lane.
func (l *lane) want(worker string, busy int64) {
	l.q.worker.observe(worker, busy)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owned && l.wanted == "" {
		l.wanted, l.wantedAt = worker, time.Now()
		time.AfterFunc(max(slice-time.Since(l.since), 0), l.yield)
	}
}

// yield lets the other worker have the lane if it has less to do, unless the lane has little to do itself, or its jobs
// take too long to be waited for.
func (l *lane) yield() {
	l.mu.Lock()
	defer l.mu.Unlock()
	worker := l.wanted
	if len(l.held) == 0 && l.ran < fewJobs && time.Since(l.wantedAt) < wantedTime {
		return // startNext asks again
	}
	l.wanted = ""
	little := len(l.held) == 0 && l.ran < fewJobs
	if worker == "" || !l.owned || !l.wants() || little || time.Now().Before(l.unwanted) || !l.q.worker.yields(worker, l.busy) {
		return
	}
	l.yielding = true
	since := l.since
	time.AfterFunc(slice, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.yielding && l.since.Equal(since) && l.working > 0 {
			l.yielding, l.unwanted = false, time.Now().Add(unwantedPause)
		}
		l.step()
	})
	l.step()
}

// observe takes what another worker says it has to do.
func (w *worker) observe(worker string, busy int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads[worker] = busy
}

// yields reports whether another worker has less to do, and counts that it has one lane more then. counted says that the
// lane is one of those with jobs at the moment.
func (w *worker) yields(worker string, counted bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	lanes := w.busy.Load()
	if !counted {
		lanes++
	}
	if lanes <= w.loads[worker] {
		return false
	}
	w.loads[worker]++
	return true
}
