package natsqueue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Lanes implements queue.Queue. Open lanes are those of this process; what lanes hold is seen by all. Its cost
// grows with what waits: the servers list the subject of each retry, scheduled job and dead letter, about 60 bytes
// each.
func (q *Queue) Lanes(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	names := map[string]bool{}
	q.mu.Lock()
	for name := range q.lanes {
		names[name] = true
	}
	q.mu.Unlock()
	for _, in := range []struct {
		stream jetstream.Stream
		kind   string
	}{{q.jobs, kindReady}, {q.jobs, kindLater}, {q.jobs, kindTimed}, {q.dead, kindDead}} {
		subjects, err := countBySubject(ctx, in.stream, q.names.subject(in.kind, fullWildcard))
		if err != nil {
			return nil, err
		}
		for subject := range subjects {
			if name, err := laneOf(subject); err == nil {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// subjectsOf is what a stream holds of some subjects.
func subjectsOf(ctx context.Context, s jetstream.Stream, filter string) (*jetstream.StreamInfo, error) {
	return jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.Info(ctx, jetstream.WithSubjectFilter(filter))
	})
}

// countBySubject counts messages by subject.
func countBySubject(ctx context.Context, s jetstream.Stream, filter string) (map[string]uint64, error) {
	info, err := subjectsOf(ctx, s, filter)
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// countJobs counts messages of the stream of jobs.
func (q *Queue) countJobs(ctx context.Context, filter string) (int, error) {
	return jsapi.Count(ctx, q.nc, q.names.jobs(), filter)
}

// waitingHead is the job that holds up a strict lane now; nil = none.
func (q *Queue) waitingHead(ctx context.Context, lane string) (*head, error) {
	first, err := q.headOf(ctx, lane)
	if err != nil || first == nil || !q.isLater(first.notBefore) {
		return nil, err
	}
	if stays, err := q.exists(ctx, first.seq); err != nil || !stays {
		return nil, err
	}
	return first, nil
}

// due reports whether a lane has jobs that could start, run somewhere, or have a time before end, by the servers'
// clock. What is behind the waiting head of a strict lane could not start. A job moves from its schedule to those
// that are ready and back, so these are asked about before and after.
func (q *Queue) due(ctx context.Context, lane string, end time.Time) (bool, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	for _, look := range []func(context.Context, string, time.Time) (bool, error){q.readyBefore, q.dueBefore, q.readyBefore} {
		if due, err := look(ctx, lane, end); due || err != nil {
			return due, err
		}
	}
	return false, nil
}

// readyBefore reports whether a lane has jobs whose time has come, unless they are held up until after end.
func (q *Queue) readyBefore(ctx context.Context, lane string, end time.Time) (bool, error) {
	filter := q.names.subject(kindReady, lane, wildcard)
	some, err := found(q.get(ctx, q.names.jobs(), jsapi.Query{Seq: 1, NextOf: filter}))
	if !some || err != nil {
		return false, err
	}
	first, err := q.waitingHead(ctx, lane)
	return first == nil || first.notBefore.Before(end), err
}

// Count implements queue.Queue. Running is known from the process that owns the lane; if it does not answer, what it
// runs counts as due. A lane whose jobs this process cannot start because of the servers has Unserved.
//
// It takes up to ten short requests, however many jobs there are; three of the answers hold one message each. With
// several replicas the numbers can be a moment behind.
func (q *Queue) Count(ctx context.Context, lane string) (queue.Counts, error) {
	if err := ctx.Err(); err != nil {
		return queue.Counts{}, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var c queue.Counts
	t := token(lane)
	ready, err := q.countJobs(ctx, q.names.subject(kindReady, t, wildcard))
	if err != nil {
		return c, err
	}
	if c.Later, err = q.countJobs(ctx, q.names.schedules(t, wildcard)); err != nil {
		return c, err
	}
	if c.Dead, err = jsapi.Count(ctx, q.nc, q.names.dead(), q.names.subject(kindDead, t, wildcard)); err != nil {
		return c, err
	}
	running, purged, err := q.countRunning(ctx, t)
	if err != nil {
		return c, err
	}
	c.Running = running
	if stored := running - purged; ready > stored {
		first, err := q.waitingHead(ctx, t)
		if err != nil {
			return c, err
		}
		if first != nil {
			c.Later++
			stored++
		}
		c.Due = max(ready-stored, 0)
	}
	if l := q.lane(lane); l != nil {
		l.mu.Lock()
		if c.Unserved = l.unserved; c.Unserved == "" && l.wants() && q.current() == "" {
			c.Unserved = errUnregistered.Error()
		}
		l.mu.Unlock()
	}
	return c, nil
}

// countRunning counts what runs of a lane, here or where its owner is, and of that what was purged.
func (q *Queue) countRunning(ctx context.Context, lane string) (running, purged int, err error) {
	running, purged = q.countHere(lane)
	if running > 0 {
		return running, purged, nil
	}
	owner, alive, err := q.ownerOf(ctx, lane)
	if err != nil || !alive || owner == q.current() {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	r, _ := q.request(ctx, owner, ask{Op: opCount, Lane: lane}) // one that does not answer is gone, or soon known to be
	return r.Running, r.Purged, nil
}

// countHere counts what this process runs of a lane, and of that what was purged.
func (q *Queue) countHere(lane string) (running, purged int) {
	for l := q.latest(lane); l != nil; {
		l.mu.Lock()
		running += l.working
		for _, d := range l.out {
			if d.purged.Load() {
				purged++
			}
		}
		before := l.before
		l.mu.Unlock()
		l = before
	}
	return running, min(purged, running)
}

// purged is what became of a purge.
type purged struct {
	n     int
	owner string // another, and nothing was purged; "" = it was
	err   error
}

// Purge implements queue.Queue. The messages of running jobs go too: they finish, and come back if they are to be
// retried, but one whose process ends meanwhile does not run again. The process that owns the lane does it; if it does
// not answer, Purge waits until its lease has ended, or ctx.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	t := token(lane)
	n, err := q.purge(ctx, q.names.jobs(), q.names.schedules(t, wildcard), 0)
	for pause := jsapi.MinPause; err == nil; pause = min(2*pause, jsapi.MaxPause) {
		ready, owner, err := q.purgeHere(ctx, t)
		if err != nil || owner == "" {
			return n + ready, err
		}
		if r, err := q.request(ctx, owner, ask{Op: opPurge, Lane: t}); err == nil {
			return n + r.Purged, nil
		} else if !jsapi.Sleep(ctx, pause) {
			return n, err
		}
	}
	return n, err
}

// purgeHere purges what is ready in a lane, or returns its owner if that is another process.
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
	l.mu.Lock()
	l.asks = slices.DeleteFunc(l.asks, func(a chan<- purged) bool { return a == answer })
	l.step()
	l.mu.Unlock()
	return 0, "", ctx.Err()
}

// sweep purges what is ready in the lane, for those who ask.
func (l *lane) sweep() {
	l.mu.Lock()
	asks := l.asks
	l.asks = nil
	p := purged{owner: l.owner}
	if l.owned {
		l.holds++
		l.mu.Unlock()
		ctx, cancel := l.q.bounded(l.q.ctx)
		p.n, p.err = l.q.purge(ctx, l.q.names.jobs(), l.q.names.subject(kindReady, l.token, wildcard), 0)
		cancel()
		l.mu.Lock()
		l.holds--
		if p.err == nil {
			p = purged{n: max(p.n-l.markPurged(), 0)}
		}
		l.startRemoving()
	}
	l.mu.Unlock()
	for _, a := range asks {
		a <- p
		p.n = 0
	}
}

// markPurged drops what is here and does not run, as its messages are gone, and reports how many run whose message is
// gone, too. What runs comes back although it was purged. Called with the lane locked.
func (l *lane) markPurged() (running int) {
	var back []*delivery
	for _, d := range l.held {
		if d.purged.Load() {
			back = append(back, d)
			continue
		}
		l.forget(d)
	}
	l.held = back
	for _, d := range l.out {
		if !d.purged.Swap(true) {
			running++
		}
	}
	if l.before != nil {
		l.before.mu.Lock()
		defer l.before.mu.Unlock()
		running += l.before.markPurged()
	}
	return running
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
