package natsqueue

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
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
		if _, unsure := unconfirmed[jobs[i].Event.ID()]; unsure && c.err == nil && c.duplicate {
			c.err = q.compare(ctx, jobs[i].Event, c.seq)
		}
		if large, ok := errors.AsType[*TooLargeError](c.err); ok { // the limit is another server's, since a moment ago
			large.EventID = jobs[i].Event.ID()
		}
		if c.err != nil {
			// What was not stored must not be known, or the same call would be taken for a repetition next time.
			q.known.confirm(unconfirmed, false)
			return c.err
		}
	}
	q.known.confirm(unconfirmed, true)
	return nil
}

// spare is what a job's message may gain when it is retried or dead: the time and target of a schedule, or a reason.
const spare = 8 << 10

// fits refuses a job that the server would not take, or would take now and not when it is to be retried or is
// dead: its worker could never settle it.
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
	lane := token(j.Lane)
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

// info is what the leader of a stream knows of it.
func (q *Queue) info(ctx context.Context, s jetstream.Stream) (*jetstream.StreamInfo, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	return jsapi.Retry(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) { return s.Info(ctx) })
}

// lastNumber is that of the message that was stored last in a stream.
func (q *Queue) lastNumber(ctx context.Context, s jetstream.Stream) (uint64, error) {
	info, err := q.info(ctx, s)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
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

// knownEvents is how many of the latest events a process remembers at least; at most twice as many.
const knownEvents = 65_536

// known remembers what this process enqueued, to find one id given to two events. Asking the servers would cost a
// message for each event; they are asked only about an event that is not known to be stored and whose job they have
// already.
type known struct {
	seed maphash.Seed

	mu       sync.Mutex
	latest   map[string]knownEvent // by id
	previous map[string]knownEvent
}

// knownEvent is what is remembered of an event.
type knownEvent struct {
	hash   uint64 // of what SameAs compares
	stored bool   // the servers confirmed it; otherwise a call is about it now
}

func newKnown() known { return known{seed: maphash.MakeSeed(), latest: map[string]knownEvent{}} }

// add remembers the events of jobs, or none if one is in conflict. It returns those that are not known to be stored, by
// id; nil = none.
func (k *known) add(jobs []queue.Job) (map[string]knownEvent, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var unconfirmed map[string]knownEvent
	for i := range jobs {
		e := jobs[i].Event
		if i > 0 && e.SameAs(jobs[i-1].Event) {
			continue
		}
		id, now := e.ID(), knownEvent{hash: k.hash(e)}
		before, ok := k.latest[id]
		if !ok {
			if before, ok = k.previous[id]; !ok {
				before = now
			}
			k.latest[id] = before
		}
		if before.hash != now.hash {
			k.remove(unconfirmed)
			return nil, &queue.ConflictError{EventID: id}
		}
		if !before.stored {
			if unconfirmed == nil {
				unconfirmed = map[string]knownEvent{}
			}
			unconfirmed[id] = now
		}
	}
	if len(k.latest) > knownEvents {
		k.previous, k.latest = k.latest, map[string]knownEvent{}
	}
	return unconfirmed, nil
}

// confirm remembers that the servers have the events of a call or, if it failed, forgets those that no other call has
// stored.
func (k *known) confirm(unconfirmed map[string]knownEvent, stored bool) {
	if len(unconfirmed) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !stored {
		k.remove(unconfirmed)
		return
	}
	for id, e := range unconfirmed {
		e.stored = true
		k.latest[id] = e
	}
}

// remove is called with k locked.
func (k *known) remove(unconfirmed map[string]knownEvent) {
	for id, e := range unconfirmed {
		for _, m := range []map[string]knownEvent{k.latest, k.previous} {
			if m[id] == e {
				delete(m, id)
			}
		}
	}
}

func (k *known) hash(e event.Event) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, s := range [...]string{string(e.Type()), e.Tenant(), e.Subject()} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0xff) // in no UTF-8, so nothing moves from one to the next
	}
	_, _ = h.Write(e.Data())
	return h.Sum64()
}

// maxPublishing bounds the messages on their way; more wait.
const maxPublishing = 16 << 10

// confirmation is what became of a message.
type confirmation struct {
	seq       uint64 // in its stream
	duplicate bool   // it was there already, under that number
	err       error
}

// store publishes messages until each is confirmed, and returns the first error.
func (q *Queue) store(ctx context.Context, msgs ...*nats.Msg) error {
	for _, c := range q.storeEach(ctx, msgs) {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// storeOne is store for the number of one message.
func (q *Queue) storeOne(ctx context.Context, m *nats.Msg) (confirmation, error) {
	c := q.storeEach(ctx, []*nats.Msg{m})[0]
	return c, c.err
}

// storeEach publishes messages in their order, all before it waits for the first, and again those whose
// confirmation did not come, until ctx is done. That is safe because each has an id of its own or replaces what it
// repeats.
func (q *Queue) storeEach(ctx context.Context, msgs []*nats.Msg) []confirmation {
	began, pause := time.Now(), jsapi.MinPause
	all := make([]confirmation, len(msgs))
	last := make([]error, len(msgs)) // what each failed with before ctx ended
	missing := make([]int, len(msgs))
	for i := range msgs {
		missing[i] = i
	}
	for {
		missing = q.publish(ctx, msgs, missing, all)
		noStream := false
		for _, i := range missing {
			last[i] = all[i].err
			noStream = noStream || errors.Is(all[i].err, jetstream.ErrNoStreamResponse)
		}
		if len(missing) == 0 || !jsapi.Sleep(ctx, pause) {
			break
		}
		if noStream {
			q.recreate(ctx)
		}
		pause = min(2*pause, jsapi.MaxPause)
	}
	for i := range all {
		all[i].err = q.failure(ctx, msgs[i], time.Since(began), all[i].err, last[i])
	}
	return all
}

// publish publishes some messages and waits for what becomes of each. It returns those to be published again.
func (q *Queue) publish(ctx context.Context, msgs []*nats.Msg, some []int, all []confirmation) (again []int) {
	type sent struct {
		future jetstream.PubAckFuture
		err    error
	}
	out, err := jsapi.Once(ctx, func(ctx context.Context) ([]sent, error) {
		out := make([]sent, len(some))
		for n, i := range some {
			if out[n].err = ctx.Err(); out[n].err == nil {
				out[n].future, out[n].err = q.js.PublishMsgAsync(msgs[i])
			}
		}
		return out, nil
	})
	for n, i := range some {
		c := &all[i]
		switch c.err = err; {
		case err != nil:
		case out[n].err != nil:
			c.err = out[n].err
		default:
			select {
			case ack := <-out[n].future.Ok():
				*c = confirmation{seq: ack.Sequence, duplicate: ack.Duplicate}
			case c.err = <-out[n].future.Err():
			case <-ctx.Done():
				c.err = ctx.Err()
			}
		}
		if retriable(c.err) {
			again = append(again, i)
		}
	}
	return again
}

// inProcess is the server's answer while an earlier publishing of the same message is on its way through the
// replicas; asked again, it says that it is a duplicate. The client has no name for it.
const inProcess jetstream.ErrorCode = 10158

// retriable reports whether err says nothing about the message itself.
func retriable(err error) bool {
	if err == nil || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload) {
		return false
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.Code == jsapi.Unavailable || refused.ErrorCode == inProcess || jsapi.IsFull(err)
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// failure puts an error of publishing into words for the caller. last is what it failed with before ctx ended, if
// anything.
func (q *Queue) failure(ctx context.Context, m *nats.Msg, took time.Duration, err, last error) error {
	if last != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = last
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return &TooLargeError{Size: m.Size(), Limit: q.maxPayload.Load()}
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case retriable(err) || ctx.Err() != nil:
		return &StoreError{After: took, Err: err}
	case jsapi.IsConflict(err):
		return err // the caller of this package's own asked for it
	case jsapi.IsRefused(err):
		return &RefusedError{Err: err}
	}
	return err
}
