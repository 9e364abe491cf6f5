package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
)

// Lanes implements queue.Inspector. Open lanes are those of this process; what lanes hold is seen by all.
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
		subjects, err := held(ctx, in.stream, q.names.subject(in.kind, allBelow))
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

// held counts messages by subject.
func held(ctx context.Context, s jetstream.Stream, filter string) (map[string]uint64, error) {
	info, err := ask.Until(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.Info(ctx, jetstream.WithSubjectFilter(filter))
	})
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// total counts messages.
func total(ctx context.Context, s jetstream.Stream, filter string) (int, error) {
	subjects, err := held(ctx, s, filter)
	n := 0
	for _, of := range subjects {
		n += int(of)
	}
	return n, err
}

// standing is what the servers know of a lane.
type standing struct {
	ready   int  // messages whose time has come, those with workers included
	out     int  // of these, delivered to workers
	waiting int  // of those, held up at the head of a strict lane until its time: 0 or 1
	served  bool // a worker asks for messages
}

// elsewhere is how many of those that are out run in other processes, when this one has some in hand. What a worker gave
// back is out, too, until another asks for messages; so while none does, nothing counts as running elsewhere.
func (s standing) elsewhere(inHand int) int {
	if !s.served {
		return 0
	}
	return max(s.out-s.waiting-inHand, 0)
}

func (q *Queue) standing(ctx context.Context, lane string) (s standing, err error) {
	if s.ready, err = total(ctx, q.jobs, q.names.subject(kindReady, lane, anything)); err != nil {
		return s, err
	}
	c, err := ask.Until(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return q.js.Consumer(ctx, q.names.jobs(), consumerName(lane))
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.out, s.served = c.CachedInfo().NumAckPending, c.CachedInfo().NumWaiting > 0
	first, err := q.headOf(ctx, lane)
	if err != nil || first == nil || time.Until(first.notBefore) <= 0 || s.out == 0 {
		return s, err
	}
	if stays, err := exists(ctx, q.jobs, first.seq); err != nil || !stays {
		return s, err
	}
	s.waiting = 1
	return s, nil
}

// due is how many jobs of a lane could start now or run somewhere. What is behind the waiting head of a strict lane could not.
func (q *Queue) due(ctx context.Context, lane string) (int, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	n, err := total(ctx, q.jobs, q.names.subject(kindReady, lane, anything))
	if n == 0 || err != nil {
		return 0, err
	}
	s, err := q.standing(ctx, lane)
	if s.waiting > 0 {
		return 0, err
	}
	return s.ready, err
}

// Count implements queue.Inspector. Running are those of all workers; a job that a worker has and does not start, because
// its limit was lowered or its Admit says to wait, counts there unless the worker is this process. While no worker asks for
// jobs of the lane, because all have paused or stopped it, only this process's are known to run.
func (q *Queue) Count(ctx context.Context, lane string) (queue.Counts, error) {
	if err := ctx.Err(); err != nil {
		return queue.Counts{}, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var c queue.Counts
	t := token(lane)
	s, err := q.standing(ctx, t)
	if err != nil {
		return c, err
	}
	for _, in := range []struct {
		n      *int
		stream jetstream.Stream
		kind   string
	}{{&c.Later, q.jobs, kindLater}, {&c.Later, q.jobs, kindTimed}, {&c.Dead, q.dead, kindDead}} {
		n, err := total(ctx, in.stream, q.names.subject(in.kind, t, anything))
		if err != nil {
			return c, err
		}
		*in.n += n
	}
	working, idle, orphans := q.share(lane)
	elsewhere := s.elsewhere(working - orphans + idle)
	c.Running = working + elsewhere
	c.Later += s.waiting
	c.Due = max(s.ready-s.waiting-(working-orphans)-elsewhere, 0)
	return c, nil
}

// share counts what this process has in hand of a lane: with a handler, of those without a message any more, and held.
func (q *Queue) share(lane string) (working, idle, orphans int) {
	if l := q.lane(lane); l != nil {
		l.mu.Lock()
		idle = len(l.held)
		l.mu.Unlock()
	}
	all := q.hands.of(lane)
	for _, h := range all {
		h.mu.Lock()
		if h.orphan {
			orphans++
		}
		h.mu.Unlock()
	}
	return max(len(all)-idle, 0), idle, orphans
}

// Purge implements queue.Inspector. The messages of running jobs go too: they finish, and come back if they are to be
// retried, but one whose process dies meanwhile does not run again.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	t := token(lane)
	n := 0
	for _, kind := range []string{kindTimed, kindLater} {
		purged, err := q.purge(ctx, q.names.subject(kind, t, anything))
		if n += purged; err != nil {
			return n, err
		}
	}
	s, err := q.standing(ctx, t)
	if err != nil {
		return n, err
	}
	working, idle, orphans := q.share(lane)
	running := working - orphans + s.elsewhere(working-orphans+idle)
	purged, err := q.purge(ctx, q.names.subject(kindReady, t, anything))
	if err != nil {
		return n, err
	}
	if l := q.lane(lane); l != nil {
		l.dropHeld()
	}
	for _, h := range q.hands.of(lane) {
		h.mu.Lock()
		h.orphan = true
		h.mu.Unlock()
	}
	return n + max(purged-running, 0), nil
}

// dropHeld forgets what was delivered and not started.
func (l *lane) dropHeld() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.held {
		l.q.acknowledge(h)
	}
	l.held = nil
	l.signal()
}

// purge removes the messages of subjects and says how many. Stream.Purge of the client does not say.
func (q *Queue) purge(ctx context.Context, filter string) (int, error) {
	request, err := json.Marshal(map[string]string{"filter": filter})
	if err != nil {
		return 0, err
	}
	answer, err := q.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.PURGE."+q.names.jobs(), request)
	if err != nil {
		return 0, err
	}
	var a struct {
		Error   *jetstream.APIError `json:"error"`
		Success bool                `json:"success"`
		Purged  int                 `json:"purged"`
	}
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return 0, errors.Join(errPurge, err)
	}
	switch {
	case a.Error != nil:
		return 0, a.Error
	case !a.Success:
		return 0, errPurge
	}
	return a.Purged, nil
}

var errPurge = errors.New("natsqueue: the server did not say what it purged")
