package natsqueue

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A strict lane has at most one message out, and the job that is to be retried stays that message until its time
// has come: nothing overtakes it. Its attempts cannot be counted in the message, which does not change, so they are
// kept beside it, for whichever worker gets it next.

// headerHead has the number of the message that waits.
const headerHead = "Tocsin-Head"

// head is what is kept of the job that holds up a strict lane.
type head struct {
	seq uint64 // of its message
	numbers
}

// holdUp keeps a job at the head of its lane until its NotBefore. false = its message was purged meanwhile.
func (q *Queue) holdUp(ctx context.Context, l *lane, d *delivery, j *queue.Job) (bool, error) {
	m := &nats.Msg{Subject: q.names.subject(kindHead, l.token), Header: nats.Header{
		jetstream.MsgRollup: {jetstream.MsgRollupSubject},
		headerJob:           {numbersOf(j).String()},
		headerHead:          {strconv.FormatUint(d.seq, 10)},
	}}
	if err := q.store(ctx, m); err != nil {
		return false, err
	}
	if stays, err := q.exists(ctx, d.seq); !stays || err != nil {
		return false, err
	}
	wait := time.Duration(0)
	if !j.NotBefore.IsZero() {
		wait = max(q.clock.until(j.NotBefore), 0)
	}
	q.release(d, wait)
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

// preparation says what has to be done before a message may start; nil = nothing. Called with the lane locked.
func (l *lane) preparation(msg jetstream.Msg, meta *jetstream.MsgMetadata) func(*delivery) bool {
	headers := msg.Headers()
	// The first message of a consumer may have been delivered before, by the lane's previous consumer.
	again := meta.NumDelivered > 1 || meta.Sequence.Consumer == 1
	number, ordered := headers.Get(headerNumber), again && l.limit <= 1 && headers.Get(headerOrderKey) != ""
	n, _ := readNumbers(headers.Get(headerJob)) // work finds what is wrong with it
	notBefore := n.notBefore
	if !notBefore.After(meta.Timestamp) {
		notBefore = time.Time{} // by the servers' clock its time had come when it was written
	}
	if number == "" && !ordered && !l.q.isLater(notBefore) {
		return nil
	}
	return func(d *delivery) bool {
		ctx, cancel := l.q.bounded(l.ctx)
		defer cancel()
		start, err := true, error(nil)
		if number != "" {
			start, err = l.q.begin(ctx, d, number)
		}
		if err == nil && start && ordered {
			var s *head
			if s, err = l.q.headOf(ctx, l.token); err == nil && s != nil && s.seq == d.seq {
				d.state, notBefore = s, s.notBefore
			}
		}
		if err != nil {
			l.complain("prepare a job", err)
			l.q.release(d, preparePause)
			return false
		}
		return start && l.timely(ctx, d, notBefore)
	}
}

// preparePause is how long a message waits that could not be prepared.
const preparePause = time.Second

// shortWait is how long a message that came before its time is kept; others are put off.
const shortWait = time.Second

// timely waits until a message's time has come. Longer than a moment it puts the message off: it came that early
// because a message schedule cannot be as late, or because somebody set the servers' clock.
func (l *lane) timely(ctx context.Context, d *delivery, notBefore time.Time) bool {
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
		l.q.release(d, wait)
		return false
	}
	if l.q.store(ctx, l.q.message(&job, followID(&job, d.seq))) != nil {
		l.q.release(d, preparePause)
		return false
	}
	l.q.acknowledge(d)
	return false
}
