package natsqueue

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// releasePause is after how long a job whose outcome cannot be stored is delivered again. Until then it counts
// against the lane's limit, so it is no longer for a job that was to wait longer.
const releasePause = 30 * time.Second

// settle applies an outcome. While no server answers it goes on trying: there is nothing else to do, and the lane
// holds no more than it can settle. When the servers refuse what it has to store, as for lack of room, it gives up
// after Config.Timeout and releases the job, which runs again later, as often tried as before: that takes no room,
// and no handler's place is taken by what cannot end. When the lane is stopped and its time is up the job runs
// again, too.
func (l *lane) settle(d *delivery, j queue.Job, out queue.Disposition) {
	if out.Action == queue.Done {
		l.q.acknowledge(d)
		return
	}
	if out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero() {
		j.Attempt++
		if j.FirstTried.IsZero() {
			j.FirstTried = out.Began.Round(0)
		}
	}
	log := l.q.config.Logger.With("route", l.name, "event_id", j.Event.ID(), "attempt", j.Attempt)
	began := time.Now()
	for pause := jsapi.MinPause; ; pause = min(2*pause, jsapi.MaxPause) {
		err := l.apply(d, j, out)
		switch {
		case err == nil:
			return
		case l.ctx.Err() != nil:
			log.Warn("tocsin: an outcome could not be stored; the job runs again", "error", err)
			l.q.inFlight.remove(d)
			return
		case final(err) && time.Since(began) >= l.q.config.Timeout:
			log.Error("tocsin: the NATS servers refuse to store an outcome; the job is released and runs again", "error", err)
			l.q.release(d, releasePause)
			return
		case pause == jsapi.MinPause:
			log.Warn("tocsin: an outcome is not stored yet", "error", err)
		}
		jsapi.Sleep(l.ctx, pause)
	}
}

// final reports whether err is the servers' own no.
func final(err error) bool {
	_, large := errors.AsType[*TooLargeError](err)
	return large || jsapi.IsRefused(err)
}

func (l *lane) apply(d *delivery, j queue.Job, out queue.Disposition) error {
	// What is under way when the lane is stopped and its time is up may still succeed, but not make Stop wait for
	// more than its grace.
	ctx, cancel := l.q.bounded(context.Background())
	defer cancel()
	defer context.AfterFunc(l.ctx, func() { time.AfterFunc(queue.StopGrace/2, cancel) })()
	switch out.Action {
	case queue.Dead:
		if err := l.q.store(ctx, l.q.deadMessage(&j, d.seq, time.Now(), out.Reason)); err != nil {
			return err
		}
		l.q.acknowledge(d)
		return nil
	default:
		return l.again(ctx, d, j, max(out.Delay, 0), out.Action == queue.Postpone)
	}
}

// again makes a job run again after a delay. A job of a strict lane holds up the lane: its message stays the first.
// Any other is stored again, behind those that wait, and its old message acknowledged after that: a crash in
// between repeats the job, and loses nothing.
func (l *lane) again(ctx context.Context, d *delivery, j queue.Job, delay time.Duration, postponed bool) error {
	j.NotBefore = time.Time{}
	if delay > 0 {
		j.NotBefore = l.q.after(delay)
	}
	if l.isStrict(j.OrderKey) {
		stayed, err := l.q.holdUp(ctx, l, d, &j)
		if stayed || err != nil {
			return err
		}
	}
	id := followID(&j, d.seq)
	m := l.q.message(&j, id)
	if msg := d.latest(); postponed && msg.Headers().Get(headerNumber) != "" {
		// It has not started, so Cancel still has to find it. The number is the same if this has to be done again.
		m = l.q.keyedMessage(&j, l.q.names.timedOf(msg.Subject()), msg.Subject(), digest(id))
	}
	if err := l.q.store(ctx, m); err != nil {
		return err
	}
	l.q.acknowledge(d)
	return nil
}

// isStrict reports whether a job with this key holds up its lane: one that is ordered, in a lane that runs one at a
// time.
func (l *lane) isStrict(orderKey string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return orderKey != "" && l.limit <= 1
}

// after is the servers' time after a delay. The longest delays end in 2200, not in an overflow.
func (q *Queue) after(d time.Duration) time.Time {
	now := q.clock.now()
	return now.Add(min(d, latestSchedule().Sub(now)))
}

const unreadablePause = 30 * time.Second

// unreadable deals with a message that is no job this version can read. One of a newer version is left to newer
// workers; of any other nothing can be made, so it is kept among the dead letters as it is.
func (q *Queue) unreadable(d *delivery, problem error) {
	l, msg := d.lane, d.latest()
	q.config.Logger.Error("tocsin: a message of the queue cannot be read", "route", l.name, "seq", d.seq, "error", problem)
	if errors.Is(problem, errNewer) {
		q.release(d, unreadablePause)
		return
	}
	ctx, cancel := q.bounded(l.ctx)
	defer cancel()
	if err := q.store(ctx, q.corruptMessage(l, d.seq, msg)); err != nil {
		q.release(d, unreadablePause)
		return
	}
	q.acknowledge(d)
}
