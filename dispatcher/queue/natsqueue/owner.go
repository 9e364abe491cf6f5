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

// claimed is who owns a lane, and the number of the message that says so.
type claimed struct {
	owner string
	seq   uint64
}

// claim makes this worker the owner of a lane, unless it has one.
func (q *Queue) claim(ctx context.Context, lane string, mine bool) (claimed, error) {
	q.worker.mu.Lock()
	id, seq, early := q.worker.id, q.worker.seq, time.Now().Before(q.worker.strangers)
	q.worker.mu.Unlock()
	switch {
	case q.current() != id || id == "":
		return claimed{}, errUnregistered
	case early && !mine:
		return claimed{}, errStranger
	}
	m := &nats.Msg{Subject: q.names.subject(kindOwner, id, lane), Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader:           {"0"},
		"Nats-Expected-Last-Subject-Sequence-Subject": {q.names.subject(kindOwner, wildcard, lane)},
	}}
	for pause := jsapi.MinPause / 10; ; pause = min(2*pause, jsapi.MaxPause) {
		c, err := q.storeOne(ctx, m)
		if err == nil {
			if c.seq < seq { // another stream than the one it is registered in
				_ = q.giveUp(ctx, lane, c.seq, 0)
				return claimed{}, errStranger
			}
			return claimed{id, c.seq}, nil
		}
		if !jsapi.IsConflict(err) {
			return claimed{}, err
		}
		by, alive, err := q.ownerOf(ctx, lane)
		if err != nil || by.owner == id || alive {
			return by, err
		}
		if by.owner != "" {
			if err := q.takeFrom(ctx, lane, by); err != nil {
				return claimed{}, err
			}
		}
		if !jsapi.Sleep(ctx, pause) { // another's is on its way through the replicas, or has just gone
			return claimed{}, ctx.Err()
		}
	}
}

// ownerOf says who owns a lane, if anybody does, and whether its registration stands.
func (q *Queue) ownerOf(ctx context.Context, lane string) (by claimed, alive bool, err error) {
	m, err := q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindOwner, wildcard, lane)})
	if jsapi.IsNotFound(err) {
		return by, false, nil
	}
	if err != nil {
		return by, false, err
	}
	by = claimed{strings.Split(m.Subject, ".")[2], m.Sequence}
	alive, err = found(q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindWorker, by.owner)}))
	return by, alive, err
}

// takeFrom takes a lane from a worker whose registration has ended, after making sure that it cannot renew it.
func (q *Queue) takeFrom(ctx context.Context, lane string, by claimed) error {
	err := q.unregister(ctx, by.owner)
	if err == nil {
		err = q.leaveWord(ctx, lane, math.MaxUint64)
	}
	lanes, before := lane, by.seq+1
	if q.config.Replicas == 1 { // nobody needs to know later who owned them
		lanes, before = wildcard, 0
	}
	if err == nil {
		_, err = q.purge(ctx, q.names.workers(), q.names.subject(kindOwner, by.owner, lanes), before)
	}
	return err
}

// headerTouched has the number before which a previous owner of the lane may have removed messages.
const headerTouched = "Tocsin-Touched"

// replicaDelay is how long a replica may be behind that still answers. Until then a lane's previous owner has left word
// of what it removed, or what it has written as the owner is still there.
const replicaDelay = 10 * time.Minute

// leaveWord lets the next owner of a lane know before which number messages may have been removed.
func (q *Queue) leaveWord(ctx context.Context, lane string, touched uint64) error {
	if q.config.Replicas == 1 {
		return nil
	}
	return q.store(ctx, &nats.Msg{Subject: q.names.subject(kindLeft, lane), Header: nats.Header{
		headerTouched: {strconv.FormatUint(touched, 10)}, jetstream.MsgTTLHeader: {replicaDelay.String()},
	}})
}

// touched is the number before which a previous owner of the lane may have removed messages that a replica still shows.
// created is when the stream of jobs was.
func (q *Queue) touched(ctx context.Context, lane string, created time.Time) (uint64, error) {
	if q.config.Replicas == 1 {
		return 0, nil
	}
	m, err := q.get(ctx, q.names.workers(), jsapi.Query{LastOf: q.names.subject(kindLeft, lane)})
	if err == nil {
		return strconv.ParseUint(m.Header.Get(headerTouched), 10, 64)
	}
	if !jsapi.IsNotFound(err) {
		return 0, err
	}
	info, err := q.info(ctx, q.workers)
	if err != nil {
		return 0, err
	}
	if info.Created.After(created) && info.TimeStamp.Sub(info.Created) < replicaDelay {
		return math.MaxUint64, nil // what a previous stream of workers said is lost
	}
	return 0, nil
}

// headerFree says which worker has left the lane, in a message that no job is the reason for.
const headerFree = "Tocsin-Free"

// giveUp makes a lane nobody's that this worker owns, and lets the others know. claim is the number of the message that
// says so: a request that comes late does not take the lane from this worker when it has claimed it again.
func (q *Queue) giveUp(ctx context.Context, lane string, claim, touched uint64) error {
	q.worker.mu.Lock()
	id := q.worker.id
	q.worker.mu.Unlock()
	if err := q.leaveWord(ctx, lane, touched); err != nil {
		return err
	}
	if _, err := q.purge(ctx, q.names.workers(), q.names.subject(kindOwner, id, lane), claim+1); err != nil {
		return err
	}
	m := &nats.Msg{Subject: q.names.subject(kindStored, lane), Header: nats.Header{headerFree: {q.worker.process}}}
	_, err := jsapi.Once(ctx, func(context.Context) (struct{}, error) { return struct{}{}, q.nc.PublishMsg(m) })
	return err
}

// giveUpLater has a lane given up as soon as a server answers.
func (q *Queue) giveUpLater(lane string, claim uint64) {
	q.worker.mu.Lock()
	defer q.worker.mu.Unlock()
	q.worker.closed[lane] = claim
}

// giveUpClosed gives up what giveUpLater was given, unless it has been opened again.
func (q *Queue) giveUpClosed() {
	w := &q.worker
	w.mu.Lock()
	all := w.closed
	w.closed = map[string]uint64{}
	w.mu.Unlock()
	for lane, claim := range all {
		if q.byToken(lane) != nil {
			continue
		}
		ctx, cancel := q.bounded(q.ctx)
		if q.giveUp(ctx, lane, claim, math.MaxUint64) != nil {
			q.giveUpLater(lane, claim)
		}
		cancel()
	}
}

// claim makes the lane owned here, or says who owns it.
func (l *lane) claim(ctx context.Context) error {
	l.mu.Lock()
	mine := l.mine || len(l.asks) > 0
	l.mu.Unlock()
	by, err := l.q.claim(ctx, l.token, mine)
	if err != nil {
		return err
	}
	own := by.owner == l.q.current()
	var fresh, touched uint64
	if own { // after an error it is found to be owned the next time
		info, err := l.q.info(ctx, l.q.jobs)
		if err != nil {
			return err
		}
		if touched, err = l.q.touched(ctx, l.token, info.Created); err != nil {
			return err
		}
		fresh = info.State.LastSeq + 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mine = own; !own {
		l.owner = by.owner
		return nil
	}
	l.own(by.seq, fresh, min(touched, fresh))
	return nil
}

// own is called with the lane locked when the lane is owned. What was stored before fresh may be settled, and replicas
// may still show what was before touched.
func (l *lane) own(claim, fresh, touched uint64) {
	l.owned, l.owner, l.mine, l.since, l.idleSince = true, "", true, time.Now(), time.Now()
	l.claimed, l.fresh, l.touched, l.complete, l.ran = claim, fresh, max(l.touched, touched), false, 0
	l.mostDead.Store(-1)
	l.reread()
	if l.wanted != "" {
		time.AfterFunc(slice, l.yield)
	}
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
		l.own(l.before.claimed, max(l.before.fresh, l.before.touched), l.before.touched)
	}
}

// leave lets others own the lane. Whether or not the servers answer, this worker does not own it any more until it has
// claimed it again.
func (l *lane) leave() error {
	l.mu.Lock()
	l.dropHeld()
	l.owned, l.leaving = false, true
	claim, touched, timeout := l.claimed, l.touched, l.q.config.Timeout
	if l.stopped {
		timeout = leaveTime
	}
	l.setBusy(false)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.q.ctx, timeout)
	defer cancel()
	err := l.q.giveUp(ctx, l.token, claim, touched)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.leaving, l.mine = false, false
		l.recovered()
	case l.stopped:
		l.leaving = false
		l.q.giveUpLater(l.token, claim)
	default:
		return err
	}
	if l.yielding {
		l.yielding = false
		l.wait(wantedTime) // the other one claims it first
	}
	return nil
}

// lose is called when the servers do not know this worker any more.
func (l *lane) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving, l.yielding = false, false // it is left already
	if l.owned {
		l.lost()
	}
	l.step()
}

// lost is called with the lane locked.
func (l *lane) lost() {
	l.dropHeld()
	l.owned, l.owner, l.unread, l.yielding = false, "", true, false
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
