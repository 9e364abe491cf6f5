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
	"github.com/tocsin-go/tocsin/event"
)

// Enqueue implements queue.Queue. Job.Urgent is kept and changes nothing. nil means that JetStream confirmed every
// job: written by the leader, and by a majority of the replicas. After an error some may be stored; enqueueing the
// same again is safe.
//
// That an event's id is known with other data is found for certain among the latest events of this process, and then
// nothing of the call is stored. Of what other processes enqueued it is found if the two meet in a lane where the first
// still waits; the jobs of other lanes may be stored then. Either is refused as often as it is asked for.
//
// An event that is too large for the server is a *TooLargeError, and nothing of the call is stored; a *RefusedError
// says that the servers do not take a job for a reason that asking again does not change.
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
		if err := q.fits(m, j); err != nil {
			return err
		}
		msgs[i] = m
	}
	unconfirmed, err := q.known.add(jobs)
	if err != nil {
		return err
	}
	for i, c := range q.storeEach(ctx, msgs) {
		if c.err == nil && c.duplicate && unconfirmed.has(jobs[i].Event) {
			c.err = q.compare(ctx, jobs[i].Event, c.seq)
		}
		if large, ok := errors.AsType[*TooLargeError](c.err); ok { // the limit is another server's, since a moment ago
			large.EventID = jobs[i].Event.ID()
		}
		if c.err != nil {
			// What was not stored must not be known, or the same call would be taken for a repetition next time.
			q.known.remove(unconfirmed)
			return c.err
		}
	}
	if len(unconfirmed) > 0 {
		q.known.confirm(unconfirmed)
	}
	return nil
}

// spare is what a job's message may gain when it is retried or dies: the time and target of a schedule, or a reason.
const spare = 8 << 10

// fits refuses a job that the server would not take, or would take now and not when it is to be retried or has
// died: its worker could never be rid of it.
func (q *Queue) fits(m *nats.Msg, j *queue.Job) error {
	limit := q.maxPayload.Load()
	size := len(m.Data) + spare
	for name, values := range m.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if limit > 0 && int64(size) > limit {
		return &TooLargeError{EventID: j.Event.ID(), Size: size, Limit: limit}
	}
	return nil
}

// compare looks whether the job the servers have, under that number, is of the same event. One that is done is not
// there any more.
func (q *Queue) compare(ctx context.Context, e event.Event, seq uint64) error {
	m, err := q.get(ctx, q.names.jobs(), jsapi.Query{Seq: seq})
	if jsapi.IsNotFound(err) {
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

// followID is the message id of a job that takes the place of the message with that number. The number makes it
// unlike that of any other message, so the server answers Duplicate only if this very step was made before, by a
// worker that did not live to acknowledge the old message; acknowledging it then is right. With the attempt alone,
// a job enqueued a second time could be mistaken for itself the first time, and be lost.
func followID(j *queue.Job, seq uint64) string {
	return j.ID() + "/" + strconv.Itoa(j.Attempt) + "@" + strconv.FormatUint(seq, 10)
}

// message is a job on its way to its lane: at once or, if it has a later time, through a message schedule.
func (q *Queue) message(j *queue.Job, id string) *nats.Msg {
	m := jobMessage(j)
	m.Header[jetstream.MsgIDHeader] = []string{id}
	lane := token(j.Route)
	m.Subject = q.names.subject(kindReady, lane, plainJob)
	if q.isLater(j.NotBefore) {
		scheduleAt(m, j.NotBefore, q.names.subject(kindLater, lane, digest(j.ID()), strconv.Itoa(j.Attempt)))
	}
	return m
}

// isLater reports whether a time is still to come for the servers. They write schedules of the past at once, but at
// once is four times a second.
func (q *Queue) isLater(at time.Time) bool { return !at.IsZero() && q.clock.until(at) > 0 }

// latestSchedule is the latest time a message schedule can have: the server counts nanoseconds since 1970 in 64
// bits. A job that comes back before its time is put off again.
func latestSchedule() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

// scheduleAt makes m a schedule, at a subject below the given one, that writes it to its own subject when its time
// has come.
func scheduleAt(m *nats.Msg, at time.Time, below string) {
	if latest := latestSchedule(); at.After(latest) {
		at = latest
	}
	m.Header[jetstream.ScheduleHeader] = []string{"@at " + at.UTC().Format(time.RFC3339Nano)}
	m.Header[jetstream.ScheduleTargetHeader] = []string{m.Subject}
	m.Subject = below + "." + slotToken(slotOf(at))
}

// get reads a message from the leader of a stream.
func (q *Queue) get(ctx context.Context, stream string, query jsapi.Query) (*jetstream.RawStreamMsg, error) {
	return jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return jsapi.Message(ctx, q.nc, stream, query)
	})
}

// exists reports whether a message is still in the stream of jobs.
func (q *Queue) exists(ctx context.Context, seq uint64) (bool, error) {
	return found(q.get(ctx, q.names.jobs(), jsapi.Query{Seq: seq}))
}

// found turns the error of a message that is not there into false.
func found(_ *jetstream.RawStreamMsg, err error) (bool, error) {
	if jsapi.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
