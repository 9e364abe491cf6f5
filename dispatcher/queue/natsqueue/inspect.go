package natsqueue

import (
	"context"
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
	by, alive, err := q.ownerOf(ctx, lane)
	if err != nil || !alive || by.owner == q.current() {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	r, _ := q.request(ctx, by.owner, ask{Op: opCount, Lane: lane}) // one that does not answer is gone, or will be
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
