package natsqueue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// ackTimeout is how long one publishing waits for its confirmation before it is done again.
	ackTimeout = 2 * time.Second
	// maxPublishing bounds the messages on their way; more wait.
	maxPublishing = 16 << 10
	// leastWait and mostWait are the pauses before publishing again.
	leastWait = 50 * time.Millisecond
	mostWait  = time.Second
)

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

// storeEach publishes messages in their order, all before it waits for the first, and again those whose confirmation did
// not come, until ctx is done. That is safe because each has an id of its own or replaces what it repeats.
func (q *Queue) storeEach(ctx context.Context, msgs []*nats.Msg) []confirmation {
	began, pause := time.Now(), leastWait
	all := make([]confirmation, len(msgs))
	futures := make([]jetstream.PubAckFuture, len(msgs))
	again := false
	for {
		for i, m := range msgs {
			if !again || retriable(all[i].err) {
				futures[i], all[i].err = q.js.PublishMsgAsync(m)
			}
		}
		failed := false
		for i, f := range futures {
			if f == nil {
				failed = failed || retriable(all[i].err)
				continue
			}
			futures[i] = nil
			select {
			case ack := <-f.Ok():
				all[i] = confirmation{seq: ack.Sequence, duplicate: ack.Duplicate}
			case all[i].err = <-f.Err():
				failed = failed || retriable(all[i].err)
			case <-ctx.Done():
				all[i].err = ctx.Err()
			}
		}
		again = true
		if !failed || !rest(ctx, pause) {
			break
		}
		for i := range all {
			if errors.Is(all[i].err, jetstream.ErrNoStreamResponse) {
				q.mend(ctx)
				break
			}
		}
		pause = min(2*pause, mostWait)
	}
	for i := range all {
		all[i].err = q.failure(ctx, msgs[i], began, all[i].err)
	}
	return all
}

// unavailable is the code of a server that cannot answer now, for want of a leader or of room.
const unavailable = 503

// inProcess is the server's answer while an earlier publishing of the same message is on its way through the replicas; asked
// again, it says that it is a duplicate. The client has no name for it.
const inProcess jetstream.ErrorCode = 10158

// retriable reports whether err says nothing about the message itself.
func retriable(err error) bool {
	if err == nil || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload) {
		return false
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.Code == unavailable || refused.ErrorCode == inProcess
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// failure puts an error of publishing into words for the caller.
func (q *Queue) failure(ctx context.Context, m *nats.Msg, began time.Time, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return &TooLargeError{Size: m.Size(), Limit: q.nc.MaxPayload()}
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case retriable(err) || ctx.Err() != nil:
		return &StoreError{After: time.Since(began), Err: err}
	}
	return err
}

// ask makes a request that changes nothing, or nothing more when it is made twice, until it is answered or ctx is done: a
// request or its answer can be lost with a server.
func ask[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	for pause := leastWait; ; pause = min(2*pause, mostWait) {
		one, cancel := context.WithTimeout(ctx, ackTimeout)
		answer, err := request(one)
		cancel()
		if err == nil || !unanswered(err) || !rest(ctx, pause) {
			return answer, err
		}
	}
}

// noPeers is the server's answer when fewer servers than replicas are there, as while a cluster starts.
const noPeers jetstream.ErrorCode = 10005

// unanswered reports whether err says that no server answered, or none that could.
func unanswered(err error) bool {
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.Code == unavailable || refused.ErrorCode == noPeers
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// rest waits d and reports whether ctx is still not done.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isConflict reports whether a message was refused because another is there.
func isConflict(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
