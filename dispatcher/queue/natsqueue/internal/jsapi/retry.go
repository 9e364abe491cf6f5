// Package jsapi makes requests of JetStream and repeats them until they are answered: a request or its answer can be
// lost with a server.
package jsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Timeout is how long one request waits for its answer before it is made again.
	Timeout = 2 * time.Second
	// MinPause and MaxPause are the pauses before a request is made again.
	MinPause = 50 * time.Millisecond
	MaxPause = time.Second
)

// Retry makes a request that changes nothing, or nothing more when it is made twice, until it is answered or ctx is
// done. The error then has both ctx's and what the servers said last.
func Retry[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	var said error
	for pause := MinPause; ; pause = min(2*pause, MaxPause) {
		one, cancel := context.WithTimeout(ctx, Timeout)
		answer, err := Once(one, request)
		cancel()
		if err == nil || !IsUnanswered(err) {
			return answer, err
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			said = err
		}
		if !Sleep(ctx, pause) {
			if said != nil {
				err = fmt.Errorf("%w: %w", ctx.Err(), said)
			}
			return answer, err
		}
	}
}

// Once makes a request and returns when ctx is done, whatever the request does: while the client connects again,
// each of its calls waits for that, and none of them looks at a context. The request may still be made then.
func Once[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := request(ctx)
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.answer, r.err
	default:
		var none T
		return none, ctx.Err()
	}
}

// Unavailable is the code of a server that cannot answer now, for lack of a leader or of room.
const Unavailable = 503

// noPeers is the server's answer when fewer servers than replicas are there, as while a cluster starts.
const noPeers jetstream.ErrorCode = 10005

// IsUnanswered reports whether err says that no server answered, or none that could.
func IsUnanswered(err error) bool {
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.Code == Unavailable || refused.ErrorCode == noPeers
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// IsRefused reports whether a server answered, and its answer is no: that it has no room, or that it does not take
// the request. One that only has no leader, or not enough servers, at the moment has not refused.
func IsRefused(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (refused.Code != Unavailable && refused.ErrorCode != noPeers || IsFull(err))
}

// IsFull reports whether a server refused a message because there is no room for it: its storage, its memory, the
// account's share of them, or the stream's limit is used up.
func IsFull(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains([]jetstream.ErrorCode{
		insufficientResources, storageExceeded, memoryExceeded, accountExceeded, storeFailed,
	}, refused.ErrorCode)
}

// Codes that the client has no names for.
const (
	accountExceeded       jetstream.ErrorCode = 10002
	insufficientResources jetstream.ErrorCode = 10023
	memoryExceeded        jetstream.ErrorCode = 10028
	storageExceeded       jetstream.ErrorCode = 10047
	storeFailed           jetstream.ErrorCode = 10077
)

// IsNoJetStream reports whether err says that nobody serves JetStream to this account.
func IsNoJetStream(err error) bool {
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled ||
			refused.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// IsNotFound reports whether a message is not there.
func IsNotFound(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) }

// Sleep waits d and reports whether ctx is still not done.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// IsConflict reports whether a message was refused because the last one of its subject is another than it expected.
func IsConflict(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
