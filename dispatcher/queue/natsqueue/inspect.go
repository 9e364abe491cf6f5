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

// countBySubject counts messages by subject.
func countBySubject(ctx context.Context, s jetstream.Stream, filter string) (map[string]uint64, error) {
	info, err := jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.Info(ctx, jetstream.WithSubjectFilter(filter))
	})
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// countJobs counts messages of the stream of jobs.
func (q *Queue) countJobs(ctx context.Context, filter string) (int, error) {
	return jsapi.Count(ctx, q.nc, q.names.jobs(), filter)
}

// serverState is what the servers know of a lane.
type serverState struct {
	ready  int   // messages whose time has come, those with workers included
	out    int   // of these, delivered to workers
	next   int   // of these, not delivered yet
	head   *head // of those, held up at the head of a strict lane until its time; nil = none
	served bool  // a worker asks for messages
}

// waiting is how many jobs are held up at the head: 0 or 1.
func (s serverState) waiting() int {
	if s.head != nil {
		return 1
	}
	return 0
}

// elsewhere is how many of those that are out run in other processes, when this one has some in flight. What a
// worker gave back is out, too, until another asks for messages; so while none does, nothing counts as running
// elsewhere.
func (s serverState) elsewhere(here int) int {
	if !s.served {
		return 0
	}
	return max(s.out-s.waiting()-here, 0)
}

func (q *Queue) serverState(ctx context.Context, lane string) (s serverState, err error) {
	if s.ready, err = q.countJobs(ctx, q.names.subject(kindReady, lane, wildcard)); err != nil {
		return s, err
	}
	c, err := jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return q.js.Consumer(ctx, q.names.jobs(), consumerName(lane))
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	info := c.CachedInfo()
	s.out, s.next, s.served = info.NumAckPending, int(info.NumPending), info.NumWaiting > 0
	if s.out > 0 {
		s.head, err = q.waitingHead(ctx, lane)
	}
	return s, err
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

// Count implements queue.Queue. Running are those of all workers; a job that a worker has and does not start,
// because its limit was lowered or its Admit says to wait, counts there unless the worker is this process. While no
// worker asks for jobs of the lane, because all have paused or stopped it, only this process's are known to run.
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
	s, err := q.serverState(ctx, t)
	if err != nil {
		return c, err
	}
	if c.Later, err = q.countJobs(ctx, q.names.schedules(t, wildcard)); err != nil {
		return c, err
	}
	if c.Dead, err = jsapi.Count(ctx, q.nc, q.names.dead(), q.names.subject(kindDead, t, wildcard)); err != nil {
		return c, err
	}
	working, idle, purged := q.countHere(lane)
	elsewhere := s.elsewhere(working - purged + idle)
	c.Running = working + elsewhere
	c.Later += s.waiting()
	c.Due = max(s.ready-s.waiting()-(working-purged)-elsewhere, 0)
	return c, nil
}

// countHere counts what this process has in flight of a lane: with a handler, not started, and, of all, those whose
// message Purge removed.
func (q *Queue) countHere(lane string) (working, idle, purged int) {
	if l := q.lane(lane); l != nil {
		l.mu.Lock()
		idle = len(l.held)
		l.mu.Unlock()
	}
	all := q.inFlight.list(lane, false)
	for _, d := range all {
		if d.isPurged() {
			purged++
		}
	}
	return max(len(all)-idle, 0), idle, purged
}

// Purge implements queue.Queue. The messages of running jobs go too: they finish, and come back if they are to be
// retried, but one whose process ends meanwhile does not run again. To tell what runs from what waits, the lane's
// consumer is paused meanwhile, for all workers; if this process ends then, for twice Config.Timeout. What other
// processes run is known from the servers, which can be a moment behind.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	t := token(lane)
	n, err := q.purge(ctx, q.names.schedules(t, wildcard))
	if err != nil {
		return n, err
	}
	l := q.lane(lane)
	resume, err := q.pauseLane(ctx, l, t)
	defer resume()
	if err != nil {
		return n, err
	}
	s, err := q.pausedState(ctx, l, lane)
	if err != nil {
		return n, err
	}
	purged, err := q.purge(ctx, q.names.subject(kindReady, t, wildcard))
	if err != nil {
		return n, err
	}
	dropped, here := 0, 0
	if l != nil {
		dropped = l.dropHeld()
	}
	for _, d := range q.inFlight.list(lane, false) { // and what was dropped, as long as it is not acknowledged
		if !d.setPurged() {
			here++
		}
	}
	running := here - dropped + s.elsewhere(here)
	return n + max(purged-running, 0), nil
}

// pauseLane keeps the lane of that token, which is l if it is open here, from starting jobs and from being delivered
// more, and keeps acknowledgements back, until the function it returns is called.
func (q *Queue) pauseLane(ctx context.Context, l *lane, token string) (resume func(), err error) {
	if l != nil {
		l.hold(1)
	}
	q.acks.pause(1)
	paused, err := q.pauseConsumer(ctx, consumerName(token))
	return func() {
		if paused {
			ctx, cancel := q.bounded(context.WithoutCancel(ctx))
			defer cancel()
			_, _ = jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.ConsumerPauseResponse, error) {
				return q.js.ResumeConsumer(ctx, q.names.jobs(), consumerName(token))
			})
		}
		q.acks.pause(-1)
		if l != nil {
			l.hold(-1)
		}
	}, err
}

// pauseConsumer pauses a consumer, if it is there. The servers answer before the one that delivers knows; so it asks
// that one until it does, or else messages would be delivered that are removed as waiting.
func (q *Queue) pauseConsumer(ctx context.Context, name string) (paused bool, err error) {
	until := q.clock.now().Add(2 * q.config.Timeout) // should this process not live to end it
	_, err = jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.ConsumerPauseResponse, error) {
		return q.js.PauseConsumer(ctx, q.names.jobs(), name, until)
	})
	for err == nil {
		paused = true
		var c jetstream.Consumer
		c, err = jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
			return q.js.Consumer(ctx, q.names.jobs(), name)
		})
		if err == nil {
			if at := c.CachedInfo().Config.PauseUntil; at != nil && !at.Before(until) {
				return true, nil
			}
			if !jsapi.Sleep(ctx, pausePoll) {
				err = ctx.Err()
			}
		}
	}
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	return paused, err
}

// pausePoll is how often it is asked whether a consumer is paused.
const pausePoll = 5 * time.Millisecond

// pausedState is the state of a paused lane once what was delivered has arrived here, and what was acknowledged
// has been removed: several replicas do that a moment later, in any order. A message that is there, but is neither
// delivered nor to be delivered, is one of these.
func (q *Queue) pausedState(ctx context.Context, l *lane, lane string) (serverState, error) {
	short, cancel := context.WithTimeout(ctx, arrivalTime)
	defer cancel()
	for {
		s, err := q.serverState(ctx, token(lane))
		if err != nil || l == nil {
			return s, err
		}
		working, idle, purged := q.countHere(lane)
		settled := working+idle-purged >= s.out-s.waiting() && s.ready <= s.out+s.next
		if settled || !jsapi.Sleep(short, arrivalTime/20) {
			return s, nil
		}
	}
}

// arrivalTime bounds how long Purge waits for what is on its way: other workers may have what does not arrive.
const arrivalTime = 200 * time.Millisecond

// hold(1) keeps the lane from starting jobs until hold(-1).
func (l *lane) hold(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds += n
	l.startNext()
	l.signal()
}

// dropHeld acknowledges what was delivered and not started, and reports how many. What was purged before it was held
// counted as running then.
func (l *lane) dropHeld() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var counted []*delivery
	n := 0
	for _, d := range l.held {
		if d.isPurged() {
			counted = append(counted, d)
			continue
		}
		l.q.acknowledge(d)
		n++
	}
	l.held = counted
	return n
}

// purge removes the messages of subjects and says how many. Stream.Purge of the client does not say.
func (q *Queue) purge(ctx context.Context, filter string) (int, error) {
	return jsapi.Once(ctx, func(ctx context.Context) (int, error) {
		var answer struct {
			Error   *jetstream.APIError `json:"error"`
			Success bool                `json:"success"`
			Purged  int                 `json:"purged"`
		}
		err := jsapi.Call(ctx, q.nc, "STREAM.PURGE."+q.names.jobs(), map[string]string{"filter": filter}, &answer)
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
