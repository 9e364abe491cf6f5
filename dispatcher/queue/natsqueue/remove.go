package natsqueue

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// removal is a message that is to be removed because its job is settled.
type removal struct {
	d    *delivery
	done chan error // has room for one; nil = nobody waits, and the job has a place among those that run until then
}

// remove removes the message of a settled job. Meanwhile the job has its place among those that run: so what runs again
// when this process is killed is no more than the lane's limit.
func (l *lane) remove(ctx context.Context, d *delivery) error {
	r := &removal{d: d, done: make(chan error, 1)}
	l.mu.Lock()
	l.startRemoving(r)
	l.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// removeLater is remove for a job that is done, whose goroutine ends.
func (l *lane) removeLater(d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.startRemoving(&removal{d: d})
}

// startRemoving is called with the lane locked.
func (l *lane) startRemoving(some ...*removal) {
	for _, r := range some {
		r.d.removing = true
	}
	if l.removals = append(l.removals, some...); !l.removing && l.removes() {
		l.removing = true
		go l.removeAll()
	}
}

// removes reports whether there is something to remove now. Called with the lane locked.
func (l *lane) removes() bool {
	return len(l.removals) > 0 && l.deleting == 0 && l.holds == 0 && len(l.asks) == 0 && !l.q.worker.suspect.Load()
}

// removeAgain goes on with what could not be removed while the stream was suspect.
func (q *Queue) removeAgain() {
	for _, l := range q.allLanes() {
		l.mu.Lock()
		l.startRemoving()
		l.mu.Unlock()
	}
}

// removeAll removes what is to be removed. The servers need as long for a request that removes the first messages of a
// lane as for one that removes one message; so what follows one that is not settled yet waits for that request and is
// looked at again.
func (l *lane) removeAll() {
	l.mu.Lock()
	for l.removes() {
		first := l.firstUnsettled()
		var gone, before, others []*removal
		for _, r := range l.removals {
			switch {
			case l.out[r.d.Sequence] != r.d:
				gone = append(gone, r)
			case r.d.Sequence < first && !r.d.scheduled():
				before = append(before, r)
			default:
				others = append(others, r)
			}
		}
		l.removals = nil
		if len(gone) > 0 { // with the stream they were in
			l.removals = append(before, others...)
			l.mu.Unlock()
			l.removed(nil, gone...)
		} else if len(before) > 1 {
			l.removals = others
			l.mu.Unlock()
			l.removed(l.removeBefore(first), before...)
		} else {
			all := append(before, others...)
			l.deleting += len(all)
			l.mu.Unlock()
			for _, r := range all {
				l.q.deleter.Delete(r.d.Sequence, func(err error) { l.deleted(err, r) })
			}
		}
		l.mu.Lock()
	}
	l.removing = false
	l.stepAndUnlock()
}

// deleted is called when one request has been answered, or not in time.
func (l *lane) deleted(err error, r *removal) {
	if err == nil {
		l.removed(nil, r)
	}
	l.mu.Lock()
	l.deleting--
	if err != nil {
		l.retrying++
		go func() {
			l.removed(l.removeOne(r.d), r)
			l.mu.Lock()
			l.retrying--
			l.stepAndUnlock()
		}()
	}
	l.startRemoving()
	l.stepAndUnlock()
}

// mostPurged is with how many jobs that wait many are removed with one request: the server loads the files that hold
// them, of about 8 MiB each.
const mostPurged = 8 << 10

// firstUnsettled is the number before which all plain jobs that were ever stored in the lane are settled. Called with
// the lane locked.
func (l *lane) firstUnsettled() uint64 {
	if !l.owned || l.stopped || l.before != nil || l.backlog > mostPurged {
		return 0 // others may have read what this lane has not, or the request would have the servers load all that waits
	}
	first := l.cursor
	for seq, d := range l.out {
		if !d.removing {
			first = min(first, seq)
		}
	}
	return first
}

// removed ends removals, or has them done again.
func (l *lane) removed(err error, all ...*removal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range all {
		if r.done != nil {
			r.done <- err
		}
		switch {
		case err == nil:
			l.forget(r.d)
		case r.done != nil:
			continue
		case l.ctx.Err() != nil: // it runs again
			l.forget(r.d)
			l.reread()
		default:
			continue
		}
		if r.done == nil {
			l.working--
		}
	}
	if err == nil || l.ctx.Err() != nil {
		l.idleSince = time.Now()
		l.startNext()
		return
	}
	if again := slices.DeleteFunc(all, func(r *removal) bool { return r.done != nil }); len(again) > 0 {
		time.AfterFunc(jsapi.MaxPause, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.startRemoving(again...)
		})
	}
}

// removeOne removes a message, unless its stream is gone.
func (l *lane) removeOne(d *delivery) error {
	l.mu.Lock()
	here := l.out[d.Sequence] == d
	l.mu.Unlock()
	if !here {
		return nil
	}
	ctx, cancel := l.settling()
	defer cancel()
	select {
	case l.q.requests <- struct{}{}:
		defer func() { <-l.q.requests }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := l.q.removeJob(ctx, d.Sequence)
	return err
}

func (l *lane) removeBefore(first uint64) error {
	ctx, cancel := l.settling()
	defer cancel()
	_, err := jsapi.Retry(ctx, func(ctx context.Context) (int, error) {
		return l.q.purge(ctx, l.q.names.jobs(), l.q.names.subject(kindReady, l.token, plainJob), first)
	})
	return err
}
