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
)

// A strict lane has at most one message out, and the job that is to be retried stays that message until its time has come:
// nothing overtakes it. Its attempts cannot be counted in the message, which does not change, so they are kept beside it, for
// whichever worker gets it next.

// headerHead has the number of the message that waits.
const headerHead = "Tocsin-Head"

// head is what is kept of the job that holds up a strict lane.
type head struct {
	seq uint64 // of its message
	numbers
}

// holdUp keeps a job at the head of its lane until its NotBefore. false = its message was purged meanwhile.
func (q *Queue) holdUp(ctx context.Context, l *lane, h *hand, j *queue.Job) (bool, error) {
	m := &nats.Msg{Subject: q.names.subject(kindHead, l.token), Header: nats.Header{
		jetstream.MsgRollup: {jetstream.MsgRollupSubject},
		headerJob:           {numbersOf(j).String()},
		headerHead:          {strconv.FormatUint(h.seq, 10)},
	}}
	if err := q.store(ctx, m); err != nil {
		return false, err
	}
	if stays, err := exists(ctx, q.jobs, h.seq); !stays || err != nil {
		return false, err
	}
	q.giveBack(h, max(time.Until(j.NotBefore), 0))
	return true, nil
}

// headOf reads what is kept for a lane; nil = nothing.
func (q *Queue) headOf(ctx context.Context, lane string) (*head, error) {
	m, err := last(ctx, q.jobs, q.names.subject(kindHead, lane))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
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

// care says what has to be done before a message may start; nil = nothing. again: it may have been delivered before.
// Called with the lane locked.
func (l *lane) care(msg jetstream.Msg, again bool) func(*hand) bool {
	headers := msg.Headers()
	number, ordered := headers.Get(headerNumber), again && l.limit <= 1 && headers.Get(headerOrderKey) != ""
	n, _ := readNumbers(headers.Get(headerJob)) // work finds what is wrong with it
	notBefore := n.notBefore
	early := time.Until(notBefore) > 0
	if number == "" && !ordered && !early {
		return nil
	}
	return func(h *hand) bool {
		ctx, cancel := l.q.bounded(l.ctx)
		defer cancel()
		start, err := true, error(nil)
		if number != "" {
			start, err = l.q.begin(ctx, h, number)
		}
		if err == nil && start && ordered {
			var s *head
			if s, err = l.q.headOf(ctx, l.token); err == nil && s != nil && s.seq == h.seq {
				h.state, notBefore = s, s.notBefore
			}
		}
		if err != nil {
			l.q.giveBack(h, carePause)
			return false
		}
		return start && l.timely(ctx, h, notBefore)
	}
}

// carePause is how long a message waits that could not be looked after.
const carePause = time.Second

// shortWait is how long a message is kept in hand that came before its time; that happens when the clocks of server and
// worker differ.
const shortWait = time.Second

// timely waits until a message's time has come. Longer than a moment it puts the message off: it came that early because a
// message schedule cannot be as late, or because somebody changed a clock.
func (l *lane) timely(ctx context.Context, h *hand, notBefore time.Time) bool {
	wait := time.Until(notBefore)
	if wait <= 0 || wait <= shortWait && ask.Rest(l.ctx, wait) {
		return true
	}
	job, err := l.read(h)
	if err != nil {
		return true // work finds the same
	}
	if h.state != nil {
		l.q.giveBack(h, wait)
		return false
	}
	if l.q.store(ctx, l.q.message(&job, followID(&job, h.seq))) != nil {
		l.q.giveBack(h, carePause)
		return false
	}
	l.q.acknowledge(h)
	return false
}
