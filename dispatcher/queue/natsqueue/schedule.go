package natsqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A scheduled job has a random number. Whoever starts it and whoever cancels it write the number to the stream of
// marks, which takes the first of them only; so a job is started or cancelled, never both, whichever process does
// what at the time. The message of a cancelled job is removed, or discarded by the worker that gets it.
const (
	started   = "started"
	cancelled = "cancelled"
)

// leastMarkAge is how long a mark is kept at least: long after the message of a cancelled job has been removed.
const leastMarkAge = defaultIDWindow

// Schedule implements queue.Queue. The id of j is not looked at.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	timed, ready := q.keySubjects(j.Lane, key)
	m := q.keyedMessage(&j, timed, ready, rand.Text())
	if err := q.fits(m, &j); err != nil {
		return err
	}
	c, err := q.storeOne(ctx, m)
	if err != nil {
		return err
	}
	_, err = q.cancelBefore(ctx, timed, ready, c.seq)
	return err
}

// keyedMessage is a job that Cancel finds by its key, whose subjects are given.
func (q *Queue) keyedMessage(j *queue.Job, timed, ready, number string) *nats.Msg {
	m := jobMessage(j)
	m.Header[headerNumber] = []string{number}
	m.Header[jetstream.MsgIDHeader] = []string{number}
	m.Subject = ready
	if q.isLater(j.NotBefore) {
		scheduleAt(m, j.NotBefore, timed+"."+number)
	}
	return m
}

// Cancel implements queue.Queue. After an error the job is cancelled or not; asking again is safe, and says
// true if it was cancelled and is still there. Of two calls for one job at the same moment both may say true.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	timed, ready := q.keySubjects(lane, key)
	return q.cancelBefore(ctx, timed, ready, 0)
}

// keySubjects are where the jobs of a key are: below the first until their time, at the second from then on.
func (q *Queue) keySubjects(lane, key string) (timed, ready string) {
	l, k := token(lane), digest(key)
	return q.names.subject(kindTimed, l, k), q.names.subject(kindReady, l, k)
}

// cancelBefore cancels the jobs of a key; those stored before a number only, if it is not 0. First those whose time
// has not come: one that comes meanwhile is found by then among the others.
func (q *Queue) cancelBefore(ctx context.Context, timed, ready string, below uint64) (bool, error) {
	waiting, err := q.cancelAll(ctx, timed+"."+fullWildcard, below)
	if err != nil {
		return waiting, err
	}
	due, err := q.cancelAll(ctx, ready, below)
	return waiting || due, err
}

// cancelAll cancels the jobs at some subjects and reports whether there was one that had not started.
func (q *Queue) cancelAll(ctx context.Context, subjects string, below uint64) (bool, error) {
	some := false
	for seq := uint64(1); ; {
		m, err := q.get(ctx, q.names.jobs(), jsapi.Query{Seq: seq, NextOf: subjects})
		if jsapi.IsNotFound(err) || err == nil && below > 0 && m.Sequence >= below {
			return some, nil
		}
		if err != nil {
			return some, err
		}
		one, err := q.cancelJob(ctx, m)
		if err != nil {
			return some, err
		}
		some = some || one
		seq = m.Sequence + 1
	}
}

// cancelJob cancels the job of a message unless it was started, and reports whether it did. A message that somebody
// cancelled before and that is still there was not removed then.
func (q *Queue) cancelJob(ctx context.Context, m *jetstream.RawStreamMsg) (bool, error) {
	own, what, err := q.mark(ctx, m.Header.Get(headerNumber), cancelled)
	if err != nil || what == started {
		return false, err
	}
	removed, err := q.removeJob(ctx, m.Sequence)
	if err != nil {
		q.retryRemoval(m.Sequence) // or it would start when its mark is gone
		return false, err
	}
	return own || removed, nil
}

// removeJob deletes a message of the stream of jobs and reports whether it was there.
func (q *Queue) removeJob(ctx context.Context, seq uint64) (bool, error) {
	return q.remove(ctx, q.jobs, q.names.jobs(), seq)
}

// remove deletes a message of a stream of that name, which may be gone already, and reports whether it was there.
func (q *Queue) remove(ctx context.Context, s jetstream.Stream, name string, seq uint64) (bool, error) {
	_, err := jsapi.Retry(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.DeleteMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if stays, err2 := found(q.get(ctx, name, jsapi.Query{Seq: seq})); err2 == nil && !stays {
			return false, nil
		}
	}
	return err == nil, err
}

// retryRemoval has the message of a cancelled job removed as soon as a server answers.
func (q *Queue) retryRemoval(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removals[seq] = true
}

// removeCancelled removes what retryRemoval was given.
func (q *Queue) removeCancelled(ctx context.Context) {
	q.mu.Lock()
	var all []uint64
	for seq := range q.removals {
		all = append(all, seq)
	}
	q.mu.Unlock()
	for _, seq := range all {
		if _, err := q.removeJob(ctx, seq); err != nil {
			return
		}
		q.mu.Lock()
		delete(q.removals, seq)
		q.mu.Unlock()
	}
}

// mark writes what is to become of a scheduled job, unless that has been decided. It returns what it is, and
// whether that is this call's own doing.
func (q *Queue) mark(ctx context.Context, number, what string) (own bool, is string, err error) {
	m := &nats.Msg{
		Subject: q.names.subject(kindMark, token(number)),
		Header:  nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}},
		Data:    []byte(what + " " + rand.Text()), // tells our own writing, whose confirmation was lost, from another's
	}
	began := time.Now()
	for pause := jsapi.MinPause; ; pause = min(2*pause, jsapi.MaxPause) {
		err := q.store(ctx, m)
		if err == nil {
			return true, what, nil
		}
		if !jsapi.IsConflict(err) {
			return false, "", err
		}
		other, err := q.get(ctx, q.names.marks(), jsapi.Query{LastOf: m.Subject})
		if err == nil {
			is, _, _ = strings.Cut(string(other.Data), " ")
			return string(other.Data) == string(m.Data), is, nil
		}
		// The other's is still on its way through the replicas, or its time has just run out.
		if !jsapi.IsNotFound(err) || !jsapi.Sleep(ctx, pause) {
			return false, "", &StoreError{After: time.Since(began), Err: err}
		}
	}
}
