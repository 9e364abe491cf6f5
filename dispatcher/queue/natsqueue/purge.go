package natsqueue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// The owner of a lane purges it, because it knows what runs and can keep everything else from starting meanwhile. What
// waits is what was stored by the time it begins. A server that is about to start a scheduled job does so although its
// schedule is removed meanwhile; the owner counted the schedule then, and discards the job.

// headerScheduler is the subject of the schedule that a server made a message of.
const headerScheduler = "Nats-Scheduler"

// purged is what became of a purge.
type purged struct {
	n     int
	owner string // another, and nothing was purged; "" = it was
	err   error
}

// Purge implements queue.Queue. The messages of running jobs go too: they finish, and come back if they are to be
// retried, but one whose process ends meanwhile does not run again. The process that owns the lane does it; if it does
// not answer, Purge waits until its lease has ended, or ctx. A job whose schedule a server starts at that very moment
// is only known to be purged to this process, for a minute.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	t := token(lane)
	for pause := jsapi.MinPause; ; pause = min(2*pause, jsapi.MaxPause) {
		n, owner, err := q.purgeHere(ctx, t)
		if err != nil || owner == "" {
			return n, err
		}
		if r, err := q.request(ctx, owner, ask{Op: opPurge, Lane: t}); err == nil {
			return r.Purged, nil
		} else if !jsapi.Sleep(ctx, pause) {
			return 0, err
		}
	}
}

// purgeHere purges a lane, or returns its owner if that is another process.
func (q *Queue) purgeHere(ctx context.Context, token string) (n int, owner string, err error) {
	name, err := untoken(token)
	if err != nil {
		return 0, "", err
	}
	q.register()
	q.mu.Lock()
	l := q.latestLocked(name)
	if l == nil { // one that is closed already, so that it is given up again
		l = newLane(q, name, queue.LaneOptions{}, nil)
		l.stopped = true
		q.stopped[name] = l
	}
	q.mu.Unlock()
	answer := make(chan purged, 1)
	l.mu.Lock()
	l.owner = ""
	l.asks = append(l.asks, answer)
	l.step()
	l.mu.Unlock()
	select {
	case p := <-answer:
		return p.n, p.owner, p.err
	case <-ctx.Done():
	}
	l.withdraw(answer)
	return 0, "", ctx.Err()
}

// withdraw is for one of asks who waits no more.
func (l *lane) withdraw(answer chan<- purged) {
	l.mu.Lock()
	l.asks = slices.DeleteFunc(l.asks, func(a chan<- purged) bool { return a == answer })
	l.stepAndUnlock()
}

// sweep purges the lane for those who ask, or tells them who owns it.
func (l *lane) sweep() {
	l.mu.Lock()
	asks := l.asks
	l.asks = nil
	p := purged{owner: l.owner}
	if l.owned {
		l.holds++
		l.mu.Unlock()
		ctx, cancel := l.q.bounded(l.q.ctx)
		n, err := l.purgeAll(ctx)
		cancel()
		l.mu.Lock()
		l.holds--
		p = purged{n: n, err: err}
		l.startRemoving()
	}
	l.mu.Unlock()
	for _, a := range asks {
		a <- p
		p.n = 0
	}
}

// purgeAll removes what was stored in the lane by now, and counts what did not run. Nothing of it starts meanwhile, and
// nothing else that was settled is being removed.
func (l *lane) purgeAll(ctx context.Context) (int, error) {
	q := l.q
	first, err := q.lastNumber(ctx, q.jobs)
	if err != nil {
		return 0, err
	}
	schedules, err := countBySubject(ctx, q.jobs, q.names.schedules(l.token, wildcard))
	if err != nil {
		return 0, err
	}
	last, err := q.lastNumber(ctx, q.jobs) // those that are started from now on have greater ones
	if err != nil {
		return 0, err
	}
	if err := l.removeRunning(ctx); err != nil {
		return 0, err
	}
	n, err := l.purgeSchedules(ctx, schedules, first)
	if err != nil {
		return n, err
	}
	if err := l.removeOrphans(ctx, last); err != nil {
		return n, err
	}
	ready, err := q.purge(ctx, q.names.jobs(), q.names.subject(kindReady, l.token, wildcard), last+1)
	if err != nil {
		return n, err
	}
	return n + ready + l.dropPurged(last), nil
}

// removeRunning removes the messages of what runs, so that none is counted.
func (l *lane) removeRunning(ctx context.Context) error {
	for _, d := range l.runningJobs(nil) {
		if d.purged.Swap(true) {
			continue
		}
		if _, err := l.q.removeJob(ctx, d.Sequence); err != nil {
			return err
		}
	}
	return nil
}

// runningJobs appends what is here and not held, of this lane and those opened before.
func (l *lane) runningJobs(all []*delivery) []*delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.out {
		if !slices.Contains(l.held, d) {
			all = append(all, d)
		}
	}
	if l.before != nil {
		return l.before.runningJobs(all)
	}
	return all
}

// purgeSchedules removes the schedules of the lane at some subjects, which are all with numbers up to last, and counts
// them.
func (l *lane) purgeSchedules(ctx context.Context, subjects map[string]uint64, last uint64) (n int, err error) {
	q := l.q
	// Those whose time may come until the end are removed one by one: so it is known which were started, or may be.
	soon := slotOf(q.clock.now().Add(q.config.Timeout + agreement))
	var near []string
	for subject := range subjects {
		if slot, err := slotIn(subject); err != nil || slot <= soon {
			near = append(near, subject)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	started := map[string]bool{}
	for _, subject := range near {
		q.requests <- struct{}{}
		wg.Go(func() {
			defer func() { <-q.requests }()
			due, failed := q.removeSchedule(ctx, subject)
			mu.Lock()
			defer mu.Unlock()
			if due {
				started[subject] = true
			}
			if failed != nil {
				err = failed
				return
			}
			n++
		})
	}
	wg.Wait()
	l.expectOrphans(started, last)
	if err != nil || len(near) == len(subjects) {
		return n, err
	}
	far, err := q.purge(ctx, q.names.jobs(), q.names.schedules(l.token, wildcard), last+1)
	return n + far, err
}

// removeSchedule removes the schedule at a subject, and reports whether a server started it before, or may be about to
// start it nevertheless.
func (q *Queue) removeSchedule(ctx context.Context, subject string) (started bool, err error) {
	for {
		m, err := q.get(ctx, q.names.jobs(), jsapi.Query{LastOf: subject})
		if jsapi.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		removed, err := q.removeJob(ctx, m.Sequence)
		if err != nil {
			return true, err
		}
		if removed {
			n, _ := readNumbers(m.Header.Get(headerJob)) // without numbers it is taken for one that is due
			return q.clock.until(n.notBefore) < dueSoon, nil
		}
	}
}

// dueSoon is how long before its time a schedule is taken for one that a server is about to start: clocks differ by
// less.
const dueSoon = time.Second

// orphans are jobs of schedules that were purged, and counted: servers have started them, or may be about to.
type orphans struct {
	schedules map[string]bool
	after     uint64 // their numbers are greater
}

// expectOrphans has the jobs of some schedules discarded, should they be stored after a number. The lane is kept for a
// moment, as its next owner would not know.
func (l *lane) expectOrphans(schedules map[string]bool, after uint64) {
	if len(schedules) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.orphans.schedules) == 0 {
		l.orphans = orphans{map[string]bool{}, after}
	}
	maps.Copy(l.orphans.schedules, schedules)
	l.unwanted = time.Now().Add(unwantedPause)
	time.AfterFunc(orphanTime, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		maps.DeleteFunc(l.orphans.schedules, func(s string, _ bool) bool { return schedules[s] })
	})
}

// isOrphan reports whether a message is a job that was purged before it was stored. Called with the lane locked.
func (l *lane) isOrphan(m *jetstream.RawStreamMsg) bool {
	return l.orphans.schedules[m.Header.Get(headerScheduler)]
}

// removeOrphans removes those that are stored up to a number, so that they are not counted again.
func (l *lane) removeOrphans(ctx context.Context, last uint64) error {
	l.mu.Lock()
	all := orphans{maps.Clone(l.orphans.schedules), l.orphans.after}
	l.mu.Unlock()
	if len(all.schedules) == 0 {
		return nil
	}
	q, ready := l.q, l.q.names.subject(kindReady, l.token, wildcard)
	latest, err := q.get(ctx, q.names.jobs(), jsapi.Query{LastOf: ready})
	if jsapi.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	last = min(last, latest.Sequence)
	for after := all.after; after < last; {
		more := 0
		msgs, err := jsapi.Retry(ctx, func(ctx context.Context) (msgs []*jetstream.RawStreamMsg, err error) {
			msgs, more, err = q.reader.Next(ctx, ready, after+1, mostRead)
			return msgs, err
		})
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if after = m.Sequence; after > last || !all.schedules[m.Header.Get(headerScheduler)] {
				continue
			}
			if _, err := q.removeJob(ctx, m.Sequence); err != nil {
				return err
			}
		}
		if more > 0 || after >= last {
			continue
		}
		// A replica that has the latest has those before it. One that is behind is asked again.
		if there, err := q.exists(ctx, latest.Sequence); err != nil || !there {
			return err
		}
		if !jsapi.Sleep(ctx, jsapi.MinPause) {
			return ctx.Err()
		}
	}
	return nil
}

// dropPurged drops what is held and has been purged: the messages up to last, and orphans. It counts those that had no
// message any more, because they ran when the lane was purged before.
func (l *lane) dropPurged(last uint64) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Notifications of them may still be on their way, and replicas may still show them.
	l.touched, l.unsure = max(l.touched, last+1), max(l.unsure, last+1)
	l.held = slices.DeleteFunc(l.held, func(d *delivery) bool {
		switch {
		case l.isOrphan(d.RawStreamMsg):
			l.discard(d)
		case d.Sequence > last:
			return false
		case d.purged.Load():
			l.forget(d)
			n++
		default:
			l.forget(d)
		}
		return true
	})
	return n
}

// orphanTime is how long a server may need to start a schedule that was removed meanwhile.
const orphanTime = time.Minute

// discard removes the message of a job that was purged before it was stored. Called with the lane locked.
func (l *lane) discard(d *delivery) {
	l.working++
	l.startRemoving(&removal{d: d})
}

// purge removes the messages of some subjects of a stream, those before a number only if it is not 0, and says how many
// there were. Stream.Purge of the client does not say.
func (q *Queue) purge(ctx context.Context, stream, filter string, before uint64) (int, error) {
	return jsapi.Once(ctx, func(ctx context.Context) (int, error) {
		var answer struct {
			Error   *jetstream.APIError `json:"error"`
			Success bool                `json:"success"`
			Purged  int                 `json:"purged"`
		}
		request := map[string]any{"filter": filter}
		if before > 0 {
			request["seq"] = before
		}
		err := jsapi.Call(ctx, q.nc, "STREAM.PURGE."+stream, request, &answer)
		switch {
		case err != nil:
			return 0, err
		case answer.Error != nil:
			return 0, answer.Error
		case !answer.Success:
			return 0, errPurge
		}
		return answer.Purged, nil
	})
}

var errPurge = errors.New("natsqueue: the server did not say what it purged")
