package natsqueue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
	"github.com/tocsin-go/tocsin/event"
)

// Enqueue implements queue.Queue. nil means that JetStream confirmed every job: written by the leader, and by a majority of
// the replicas. After an error some may be stored; enqueueing the same again is safe.
//
// That an event's id is known with other data is found for certain among the latest events of this process, and then
// nothing of the call is stored. Of what other processes enqueued it is found if the two meet in a lane where the first
// still waits; the jobs of other lanes may be stored then.
func (q *Queue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if err := ctx.Err(); err != nil || len(jobs) == 0 {
		return err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	msgs := make([]*nats.Msg, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		m := q.message(j, j.ID()+firstID)
		if limit := q.nc.MaxPayload(); limit > 0 && 2*int64(len(m.Data)) > limit && int64(m.Size()) > limit {
			return &TooLargeError{EventID: j.Event.ID(), Size: m.Size(), Limit: limit}
		}
		msgs[i] = m
	}
	fresh, err := q.known.add(jobs)
	if err != nil {
		return err
	}
	for i, c := range q.storeEach(ctx, msgs) {
		if c.err == nil && c.duplicate && fresh != nil && fresh[i] {
			c.err = q.compare(ctx, jobs[i].Event, c.seq)
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// compare looks whether the job the servers have, under that number, is of the same event. One that is done is not there
// any more.
func (q *Queue) compare(ctx context.Context, e event.Event, seq uint64) error {
	m, err := ask.Until(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return q.jobs.GetMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if stored, err := event.Parse(m.Data); err == nil && !stored.SameAs(e) {
		return &queue.ConflictError{EventID: e.ID()}
	}
	return nil
}

// firstID ends the message id of a job that was enqueued; see followID.
const firstID = "/0"

// followID is the message id of a job that takes the place of the message with that number. The number makes it unlike
// that of any other message, so the server answers Duplicate only if this very step was made before, by a worker that did
// not live to acknowledge the old message; acknowledging it then is right. With the attempt alone, a job enqueued a second
// time could be mistaken for its former life, and be lost.
func followID(j *queue.Job, seq uint64) string {
	return j.ID() + "/" + strconv.Itoa(j.Attempt) + "@" + strconv.FormatUint(seq, 10)
}

// message is a job on its way to its lane: at once or, if it has a later time, through a message schedule.
func (q *Queue) message(j *queue.Job, id string) *nats.Msg {
	m := jobMessage(j)
	m.Header[jetstream.MsgIDHeader] = []string{id}
	lane := token(j.Route)
	ready := q.names.subject(kindReady, lane, plainJob)
	if !isLater(j.NotBefore) {
		m.Subject = ready
		return m
	}
	m.Subject = q.names.subject(kindLater, lane, digest(j.ID()))
	scheduleAt(m, j.NotBefore, ready)
	return m
}

// isLater reports whether a time is far enough off for a message schedule; the server writes those of the past at once,
// but at once is four times a second.
func isLater(at time.Time) bool { return time.Until(at) > 0 }

// latestSchedule is the latest time a message schedule can have: the server counts nanoseconds since 1970 in 64 bits. A job
// that comes back before its time is put off again.
func latestSchedule() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

// scheduleAt makes m a schedule that writes it to another subject when its time has come.
func scheduleAt(m *nats.Msg, at time.Time, to string) {
	if latest := latestSchedule(); at.After(latest) {
		at = latest
	}
	m.Header[jetstream.ScheduleHeader] = []string{"@at " + at.UTC().Format(time.RFC3339Nano)}
	m.Header[jetstream.ScheduleTargetHeader] = []string{to}
}

// last reads the last message of a subject.
func last(ctx context.Context, s jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	return ask.Until(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.GetLastMsgForSubject(ctx, subject)
	})
}
