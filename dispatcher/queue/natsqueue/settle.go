package natsqueue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
			l.abandon(d)
			return
		case isFinal(err) && time.Since(began) >= l.q.config.Timeout:
			log.Error("tocsin: the NATS servers refuse to store an outcome; the job is released and runs again", "error", err)
			l.putBack(d, releasePause)
			return
		case pause == jsapi.MinPause:
			log.Warn("tocsin: an outcome is not stored yet", "error", err)
		}
		jsapi.Sleep(l.ctx, pause)
	}
}

// isFinal reports whether the servers refused, so that asking again does not help.
func isFinal(err error) bool {
	_, large := errors.AsType[*TooLargeError](err)
	return large || jsapi.IsRefused(err)
}

func (l *lane) apply(d *delivery, j queue.Job, out queue.Disposition) error {
	ctx, cancel := l.settling()
	defer cancel()
	if out.Action != queue.Dead {
		return l.runAgain(ctx, d, j, max(out.Delay, 0), out.Action == queue.Postpone)
	}
	if err := l.storeDead(ctx, l.q.deadMessage(&j, d.Sequence, time.Now(), out.Reason)); err != nil {
		return err
	}
	return l.remove(ctx, d)
}

// runAgain makes a job run again after a delay. A job of a strict lane holds up the lane: its message stays the first.
// Any other is stored again, behind those that wait, and its old message removed after that: a crash in between repeats
// the job, and loses nothing.
func (l *lane) runAgain(ctx context.Context, d *delivery, j queue.Job, delay time.Duration, postponed bool) error {
	j.NotBefore = time.Time{}
	if delay > 0 {
		j.NotBefore = l.q.after(delay)
	}
	if l.isStrict(j.OrderKey) {
		stayed, err := l.keepAtHead(ctx, d, &j)
		if stayed || err != nil {
			return err
		}
	}
	id := followID(&j, d.Sequence)
	m := l.q.message(&j, id)
	if postponed && d.Header.Get(headerNumber) != "" {
		// It has not started, so Cancel still has to find it. The number is the same if this has to be done again.
		m = l.q.keyedMessage(&j, l.q.names.timedOf(d.Subject), d.Subject, digest(id))
	}
	if err := l.q.store(ctx, m); err != nil {
		return err
	}
	return l.remove(ctx, d)
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

// setAside deals with a message that is no job this version can read. One of a newer version is left for newer workers;
// any other is kept among the dead letters as it is.
func (l *lane) setAside(d *delivery, problem error) {
	l.q.config.Logger.Error("tocsin: a message of the queue cannot be read", "route", l.name, "seq", d.Sequence, "error", problem)
	if errors.Is(problem, errNewer) {
		l.putBack(d, unreadablePause)
		return
	}
	ctx, cancel := l.q.bounded(l.ctx)
	defer cancel()
	err := l.storeDead(ctx, l.q.corruptMessage(l, d))
	if err == nil {
		err = l.remove(ctx, d)
	}
	if err != nil {
		l.putBack(d, unreadablePause)
	}
}

// A job of a strict lane that is to be retried stays the message it is until its time has come: nothing overtakes it.
// Its attempts cannot be counted in the message, which does not change, so they are kept beside it, for whichever
// worker owns the lane next.

// headerHead has the number of the message that waits.
const headerHead = "Tocsin-Head"

// head is what is kept of the job that holds up a strict lane.
type head struct {
	seq uint64 // of its message
	numbers
}

// keepAtHead keeps a job at the head of its lane until its NotBefore. false = its message was purged meanwhile.
func (l *lane) keepAtHead(ctx context.Context, d *delivery, j *queue.Job) (bool, error) {
	q := l.q
	m := &nats.Msg{Subject: q.names.subject(kindHead, l.token), Header: nats.Header{
		jetstream.MsgRollup: {jetstream.MsgRollupSubject},
		headerJob:           {numbersOf(j).String()},
		headerHead:          {strconv.FormatUint(d.Sequence, 10)},
	}}
	if err := q.store(ctx, m); err != nil {
		return false, err
	}
	if stays, err := q.exists(ctx, d.Sequence); !stays || err != nil {
		return false, err
	}
	wait := time.Duration(0)
	if !j.NotBefore.IsZero() {
		wait = max(q.clock.until(j.NotBefore), 0)
	}
	d.state = &head{seq: d.Sequence, numbers: numbersOf(j)}
	l.putBack(d, wait)
	return true, nil
}

// headOf reads what is kept for a lane; nil = nothing.
func (q *Queue) headOf(ctx context.Context, lane string) (*head, error) {
	m, err := q.get(ctx, q.names.jobs(), jsapi.Query{LastOf: q.names.subject(kindHead, lane)})
	if jsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	seq, err := strconv.ParseUint(m.Header.Get(headerHead), 10, 64)
	if err != nil {
		return nil, errCorrupt
	}
	n, err := readNumbers(m.Header.Get(headerJob))
	return &head{seq: seq, numbers: n}, err
}

// prepare does what has to be done before a message may start, and reports whether it may.
func (l *lane) prepare(d *delivery) bool {
	number, notBefore := d.Header.Get(headerNumber), l.notBefore(d)
	if number == "" && !l.q.isLater(notBefore) {
		return true
	}
	ctx, cancel := l.q.bounded(l.ctx)
	defer cancel()
	start, err := true, error(nil)
	if number != "" {
		var what string
		if _, what, err = l.q.mark(ctx, number, started); err == nil && what != started { // it was cancelled
			start, err = false, l.remove(ctx, d)
		}
	}
	if err != nil {
		l.warn("prepare a job", err)
		l.putBack(d, preparePause)
		return false
	}
	return start && l.awaitTime(ctx, d, notBefore)
}

// notBefore is the time of a job. When it had come by the servers' clock when the message was written, there is none.
func (l *lane) notBefore(d *delivery) time.Time {
	if d.state != nil {
		return d.state.notBefore
	}
	if hasNoTime(d.Header.Get(headerJob)) {
		return time.Time{}
	}
	n, err := readNumbers(d.Header.Get(headerJob))
	written, err2 := time.Parse(time.RFC3339Nano, d.Header.Get(jetstream.TimeStampHeaer))
	if err != nil || err2 == nil && !n.notBefore.After(written) { // read finds what is wrong with it
		return time.Time{}
	}
	return n.notBefore
}

// preparePause is how long a message waits that could not be prepared.
const preparePause = time.Second

// shortWait is how long a message that came before its time is kept; others are put off.
const shortWait = time.Second

// awaitTime waits until a message's time has come. Longer than a moment it puts the message off: it came that early
// because a message schedule cannot be as late, or because somebody set the servers' clock.
func (l *lane) awaitTime(ctx context.Context, d *delivery, notBefore time.Time) bool {
	if !l.q.isLater(notBefore) {
		return true
	}
	wait := l.q.clock.until(notBefore)
	if wait <= shortWait && jsapi.Sleep(l.ctx, wait) {
		return true
	}
	job, err := l.read(d)
	if err != nil {
		return true // work finds the same
	}
	if d.state != nil {
		l.putBack(d, wait)
		return false
	}
	err = l.q.store(ctx, l.q.message(&job, followID(&job, d.Sequence)))
	if err == nil {
		err = l.remove(ctx, d)
	}
	if err != nil {
		l.putBack(d, preparePause)
	}
	return false
}
