package natsqueue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

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
			q.recreateMarks(ctx)
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
