package natsqueue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// Enqueue implements queue.Queue. nil means that JetStream confirmed every job: written by the leader, and by a majority of
// the replicas. After an error some may be stored; enqueueing the same again is safe. When an event is in conflict, no job
// of the call is stored.
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
		if limit := q.nc.MaxPayload(); limit > 0 && int64(m.Size()) > limit {
			return &TooLargeError{EventID: j.Event.ID(), Size: m.Size(), Limit: limit}
		}
		msgs[i] = m
	}
	if err := q.register(ctx, jobs); err != nil {
		return err
	}
	return q.store(ctx, msgs...)
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

// register makes the events of jobs known, or finds that one is known with other data. The first to write an event's id
// wins, whoever it is.
func (q *Queue) register(ctx context.Context, jobs []queue.Job) error {
	facts, err := distinct(jobs)
	if err != nil {
		return err
	}
	msgs := make([]*nats.Msg, len(facts))
	for i, e := range facts {
		msgs[i] = &nats.Msg{
			Subject: q.names.subject(kindID, digest(e.ID())),
			Header:  nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}},
			Data:    []byte(fingerprint(e)),
		}
	}
	for i, c := range q.storeEach(ctx, msgs) {
		if isConflict(c.err) {
			c.err = q.compare(ctx, msgs[i], facts[i].ID())
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// compare looks at what is known of an event.
func (q *Queue) compare(ctx context.Context, m *nats.Msg, id string) error {
	for pause := leastWait; ; pause = min(2*pause, mostWait) {
		known, err := last(ctx, q.ids, m.Subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			// Its time ran out in between, or its confirmation is on its way through the replicas.
			if err = q.store(ctx, m); err == nil {
				return nil
			}
		} else if err == nil {
			if string(known.Data) != string(m.Data) {
				return &queue.ConflictError{EventID: id}
			}
			return nil
		}
		if !isConflict(err) && !retriable(err) || !rest(ctx, pause) {
			return q.failure(ctx, m, time.Now(), err)
		}
	}
}

// last reads the last message of a subject.
func last(ctx context.Context, s jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	return ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.GetLastMsgForSubject(ctx, subject)
	})
}

// distinct lists the events of jobs, each once.
func distinct(jobs []queue.Job) ([]event.Event, error) {
	facts := []event.Event{jobs[0].Event}
	var known map[string]event.Event
	for i := 1; i < len(jobs); i++ {
		e := jobs[i].Event
		if e.SameAs(facts[len(facts)-1]) {
			continue
		}
		if known == nil {
			known = map[string]event.Event{facts[0].ID(): facts[0]}
		}
		other, ok := known[e.ID()]
		if ok && !e.SameAs(other) {
			return nil, &queue.ConflictError{EventID: e.ID()}
		}
		if !ok {
			known[e.ID()] = e
			facts = append(facts, e)
		}
	}
	return facts, nil
}

// fingerprint tells whether two events of one id are the same fact, as event.Event.SameAs does.
func fingerprint(e event.Event) string {
	return dedup.Key([]byte(e.Type()), []byte(e.Tenant()), []byte(e.Subject()), e.Data())
}
