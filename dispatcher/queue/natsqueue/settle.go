package natsqueue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
)

// settle applies an outcome. While no server confirms what it has to store, it goes on trying: the worker is not free, and
// the lane holds no more than it can settle. When the lane is stopped and out of patience it gives up; the job runs again.
func (l *lane) settle(h *hand, j queue.Job, out queue.Outcome) {
	if out.Action == queue.Done {
		l.q.acknowledge(h)
		return
	}
	if out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero() {
		j.Attempt++
		if j.FirstTried.IsZero() {
			j.FirstTried = out.Began.Round(0)
		}
	}
	for pause := ask.LeastWait; ; pause = min(2*pause, ask.MostWait) {
		err := l.apply(h, j, out)
		if err == nil {
			return
		}
		if l.ctx.Err() != nil || !ask.Rest(l.ctx, pause) {
			l.q.config.Logger.Warn("tocsin: an outcome could not be stored; the job runs again", "route", l.name,
				"event_id", j.Event.ID(), "error", err)
			l.q.hands.drop(h)
			return
		}
	}
}

func (l *lane) apply(h *hand, j queue.Job, out queue.Outcome) error {
	ctx, cancel := l.q.bounded(context.Background())
	defer cancel()
	switch out.Action {
	case queue.Dead:
		if err := l.q.store(ctx, l.q.deadMessage(&j, h.seq, time.Now(), out.Reason)); err != nil {
			return err
		}
		l.q.acknowledge(h)
		return nil
	default:
		return l.again(ctx, h, j, max(out.Delay, 0))
	}
}

// again makes a job run again after d. A job of a strict lane holds up the lane: its message stays the first. Any other is
// stored again, behind those that wait, and its old message acknowledged after that: a crash in between repeats the job, and
// loses nothing.
func (l *lane) again(ctx context.Context, h *hand, j queue.Job, d time.Duration) error {
	j.NotBefore = time.Time{}
	if d > 0 {
		j.NotBefore = after(d)
	}
	if l.isStrict(j.OrderKey) {
		stayed, err := l.q.holdUp(ctx, l, h, &j)
		if stayed || err != nil {
			return err
		}
	}
	if err := l.q.store(ctx, l.q.message(&j, followID(&j, h.seq))); err != nil {
		return err
	}
	l.q.acknowledge(h)
	return nil
}

// isStrict reports whether a job with this key holds up its lane: one that is ordered, in a lane that runs one at a time.
func (l *lane) isStrict(orderKey string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return orderKey != "" && l.limit <= 1
}

// after is the time in d. The longest durations end in 2200, not in an overflow.
func after(d time.Duration) time.Time {
	now := time.Now().Round(0)
	return now.Add(min(d, latestSchedule().Sub(now)))
}

const unreadablePause = 30 * time.Second

// unreadable deals with a message that is no job this version can read. One of a newer version is left to newer workers; of
// any other nothing can be made, so it is kept among the dead letters as it is.
func (q *Queue) unreadable(h *hand, problem error) {
	l, msg := h.lane, h.latest()
	q.config.Logger.Error("tocsin: a message of the queue cannot be read", "route", l.name, "seq", h.seq, "error", problem)
	if errors.Is(problem, errNewer) {
		q.giveBack(h, unreadablePause)
		return
	}
	ctx, cancel := q.bounded(l.ctx)
	defer cancel()
	if err := q.store(ctx, q.corruptMessage(l, h.seq, msg)); err != nil {
		q.giveBack(h, unreadablePause)
		return
	}
	q.acknowledge(h)
}

// exists reports whether a message is still in its stream.
func exists(ctx context.Context, s jetstream.Stream, seq uint64) (bool, error) {
	_, err := ask.Until(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return s.GetMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}
