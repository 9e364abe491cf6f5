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
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
)

// A scheduled job has a random number. Whoever starts it and whoever cancels it write the number to the stream of marks, which
// takes the first of them only; so a job is started or cancelled, never both, whichever process does what at the time. The
// message of a cancelled job is removed, or discarded by the worker that gets it.
const (
	started   = "started"
	cancelled = "cancelled"
)

// Schedule implements queue.Scheduler. The id of j is not looked at.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	timed, ready := q.keySubjects(j.Route, key)
	former, err := q.timedJob(ctx, timed)
	if err != nil {
		return err
	}
	m, number := jobMessage(&j), rand.Text()
	m.Header[headerNumber] = []string{number}
	m.Header[jetstream.MsgIDHeader] = []string{number}
	m.Subject = ready
	if isLater(j.NotBefore) {
		m.Subject = timed // takes the former one's place
		scheduleAt(m, j.NotBefore, ready)
	}
	c, err := q.storeOne(ctx, m)
	if err != nil {
		return err
	}
	if _, err := q.cancelReady(ctx, ready, c.seq); err != nil || former == nil || former.Sequence > c.seq {
		return err
	}
	_, err = q.cancelJob(ctx, former)
	return err
}

// Cancel implements queue.Scheduler.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	timed, ready := q.keySubjects(lane, key)
	former, err := q.timedJob(ctx, timed)
	if err != nil {
		return false, err
	}
	found := false
	if former != nil {
		if found, err = q.cancelJob(ctx, former); err != nil {
			return false, err
		}
	}
	due, err := q.cancelReady(ctx, ready, 0)
	return found || due, err
}

func (q *Queue) keySubjects(lane, key string) (timed, ready string) {
	l, k := token(lane), digest(key)
	return q.names.subject(kindTimed, l, k), q.names.subject(kindReady, l, k)
}

// timedJob reads the schedule of a key; nil = it has none.
func (q *Queue) timedJob(ctx context.Context, timed string) (*jetstream.RawStreamMsg, error) {
	m, err := last(ctx, q.jobs, timed)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

// cancelReady cancels the jobs of a key whose time has come; below, if it is not 0, only those stored before that number.
func (q *Queue) cancelReady(ctx context.Context, ready string, below uint64) (bool, error) {
	found := false
	for seq := uint64(1); ; {
		m, err := ask.Until(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return q.jobs.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(ready))
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && below > 0 && m.Sequence >= below {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		one, err := q.cancelJob(ctx, m)
		if err != nil {
			return found, err
		}
		found = found || one
		seq = m.Sequence + 1
	}
}

// cancelJob cancels the job of a message unless it was started or cancelled, and reports whether it did.
func (q *Queue) cancelJob(ctx context.Context, m *jetstream.RawStreamMsg) (bool, error) {
	won, err := q.claim(ctx, m.Header.Get(headerNumber), cancelled)
	if err != nil || !won {
		return false, err
	}
	return true, remove(ctx, q.jobs, m.Sequence) // if that fails, it will be discarded when a worker gets it
}

// remove deletes a message, which may be gone already.
func remove(ctx context.Context, s jetstream.Stream, seq uint64) error {
	_, err := ask.Until(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.DeleteMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if stays, err2 := exists(ctx, s, seq); err2 == nil && !stays {
			return nil
		}
	}
	return err
}

// begin says whether a worker may start the scheduled job with this number. One that was started before may: its worker did
// not settle it.
func (q *Queue) begin(ctx context.Context, h *hand, number string) (bool, error) {
	won, err := q.claim(ctx, number, started)
	if err != nil || won {
		return won, err
	}
	q.acknowledge(h)
	return false, nil
}

// claim writes what is to become of a scheduled job. It reports whether that is so: it was the first, or another said the
// same of a start.
func (q *Queue) claim(ctx context.Context, number, what string) (bool, error) {
	m := &nats.Msg{
		Subject: q.names.subject(kindMark, token(number)),
		Header:  nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}},
		Data:    []byte(what + " " + rand.Text()), // tells our own writing, whose confirmation was lost, from another's
	}
	for pause := ask.LeastWait; ; pause = min(2*pause, ask.MostWait) {
		err := q.store(ctx, m)
		if err == nil {
			return true, nil
		}
		if !ask.IsConflict(err) {
			return false, err
		}
		other, err := last(ctx, q.marks, m.Subject)
		if err == nil {
			return string(other.Data) == string(m.Data) || what == started && strings.HasPrefix(string(other.Data), started), nil
		}
		// The other's is still on its way through the replicas, or its time has just run out.
		if !errors.Is(err, jetstream.ErrMsgNotFound) || !ask.Rest(ctx, pause) {
			return false, q.failure(ctx, m, time.Now(), err)
		}
	}
}
