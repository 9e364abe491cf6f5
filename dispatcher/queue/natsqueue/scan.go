package natsqueue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// scanned is called with how many messages are ready in the lane, and who owned it after listed; a zero time is that
// nobody looked.
func (l *lane) scanned(ready int, owner string, listed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unseen {
		l.unseen = false
		l.recovered()
	}
	switch self := l.q.current(); {
	case owner == self:
		l.owner = ""
	case l.owned && l.since.Before(listed): // somebody has removed what was written about it
		l.lost()
	case !l.owned:
		l.owner = owner
	}
	switch here := len(l.out); {
	case ready == 0 && l.owned && here == 0 && time.Since(l.idleSince) >= l.q.config.Lease:
		// Should this process die, a lane without jobs need not wait until its lease has ended.
		l.yielding = true
	case ready > 0 && !l.owned:
		l.unread = true
	case ready > here && l.owned && !l.unread && !l.serving:
		l.reread() // a notification was lost
	}
	l.step()
}

// unscanned is called when the servers did not say what waits.
func (l *lane) unscanned(err error) {
	l.mu.Lock()
	l.unseen = true
	l.mu.Unlock()
	l.warn("look for jobs", err)
}

// follow has this process notified of jobs that are stored, and of lanes that are left. A notification can be lost with
// a server; scan finds what it was about.
func (q *Queue) follow() {
	q.worker.feed.Do(func() {
		stored, err := q.nc.Subscribe(q.names.subject(kindStored, wildcard), q.notified)
		if err != nil {
			return // the connection is closed
		}
		_ = stored.SetPendingLimits(-1, -1) // each is looked at in no time
		deleted, _ := q.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.DELETED."+q.names.jobs(), func(*nats.Msg) { q.doubt() })
		q.ended.Go(func() {
			q.scanLanes()
			_ = stored.Unsubscribe()
			_ = deleted.Unsubscribe()
		})
	})
}

// doubt keeps messages from being removed by their number until it is known which stream of jobs there is: what has
// that number in another one is another job's.
func (q *Queue) doubt() {
	q.worker.suspect.Store(true)
	select {
	case q.worker.rescan <- struct{}{}:
	default:
	}
}

func (q *Queue) notified(m *nats.Msg) {
	l := q.byToken(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
	if l == nil {
		return
	}
	if by := m.Header.Get(headerFree); by != "" {
		if by != q.worker.process {
			l.freed()
		}
		return
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	before, err2 := strconv.ParseUint(m.Header.Get(jetstream.LastSequenceHeader), 10, 64)
	if err != nil || err2 != nil {
		return
	}
	if q.worker.notified.Swap(seq) >= seq {
		q.doubt()
	}
	l.stored(note{m, seq, before})
}

// scanLanes looks after lanes that were opened, and after all when the client has connected again and a few times in a
// lease, until the queue is closed.
func (q *Queue) scanLanes() {
	connected := q.nc.StatusChanged(nats.CONNECTED)
	defer q.nc.RemoveStatusListener(connected)
	timer := time.NewTimer(q.config.Lease / 3)
	defer timer.Stop()
	expire := time.NewTicker(jsapi.MaxPause)
	defer expire.Stop()
	for {
		all := true
		select {
		case <-expire.C:
			q.deleter.Expire()
			continue
		case <-q.worker.rescan:
			all = false
		case <-connected:
		case <-timer.C:
		case <-q.ctx.Done():
			return
		}
		if err := q.scan(all); err != nil {
			timer.Reset(min(jsapi.MaxPause, q.config.Lease/3))
		} else if all {
			timer.Reset(q.config.Lease / 3)
		}
	}
}

// fewLanes is how many new lanes are looked at one by one. For more the servers list all that hold something.
const fewLanes = 16

// scan tells the lanes what waits in them, and who owns them: all of them, or those that were opened since.
func (q *Queue) scan(all bool) error {
	q.mu.Lock()
	lanes := q.opened
	q.opened = nil
	q.mu.Unlock()
	ctx, cancel := q.bounded(q.ctx)
	defer cancel()
	waiting, owners := map[string]int{}, map[string]string{}
	listed := time.Time{}
	var err error
	if all = all || q.worker.suspect.Load(); all || len(lanes) > fewLanes {
		lanes, listed = q.openLanes(), time.Now()
		waiting, owners, err = q.listLanes(ctx)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			q.worker.suspect.Store(true)
		case err == nil && q.worker.suspect.Swap(false):
			q.removeAgain()
		}
	} else {
		for _, l := range lanes {
			var some bool
			ready := jsapi.Query{Seq: 1, NextOf: q.names.subject(kindReady, l.token, wildcard)}
			if some, err = found(q.get(ctx, q.names.jobs(), ready)); some {
				waiting[l.token] = 1
			}
		}
	}
	for _, l := range lanes {
		if err != nil {
			l.unscanned(err)
		} else {
			l.scanned(waiting[l.token], owners[l.token], listed)
		}
	}
	return err
}

// lookAfter has a lane scanned soon. Called with q locked.
func (q *Queue) lookAfter(l *lane) {
	q.opened = append(q.opened, l)
	select {
	case q.worker.rescan <- struct{}{}:
	default:
	}
}

// listLanes counts what is ready in each lane, and lists the owners of those that have one, by token.
func (q *Queue) listLanes(ctx context.Context) (waiting map[string]int, owners map[string]string, err error) {
	waiting, owners = map[string]int{}, map[string]string{}
	info, err := subjectsOf(ctx, q.jobs, q.names.subject(kindReady, fullWildcard))
	if err != nil {
		return nil, nil, err
	}
	if !info.Created.Equal(q.created) {
		q.created = info.Created
		for _, l := range q.allLanes() {
			l.anew()
		}
	}
	for subject, n := range info.State.Subjects {
		waiting[strings.Split(subject, ".")[2]] += int(n)
	}
	owned, err := countBySubject(ctx, q.workers, q.names.subject(kindOwner, fullWildcard))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return waiting, owners, nil // the next heartbeat makes it again
	}
	if err != nil {
		return nil, nil, err
	}
	for subject := range owned {
		part := strings.Split(subject, ".")
		owners[part[3]] = part[2]
	}
	// Who was registered when its claim was read, and is not any more, is gone.
	workers, err := countBySubject(ctx, q.workers, q.names.subject(kindWorker, wildcard))
	if err != nil {
		return nil, nil, err
	}
	gone := map[string]time.Time{}
	for lane, owner := range owners {
		if workers[q.names.subject(kindWorker, owner)] > 0 {
			continue
		}
		delete(owners, lane)
		if gone[owner] = q.gone[owner]; gone[owner].IsZero() {
			gone[owner] = time.Now()
		}
	}
	q.gone = gone
	q.forgetGone(ctx)
	return waiting, owners, nil
}

// forgetGone removes what workers that are gone had written about lanes that nobody has claimed since.
func (q *Queue) forgetGone(ctx context.Context) {
	for worker, since := range q.gone {
		if time.Since(since) >= replicaDelay {
			_, _ = q.purge(ctx, q.names.workers(), q.names.subject(kindOwner, worker, wildcard), 0)
		}
	}
}
