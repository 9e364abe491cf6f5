// Package jsapi makes requests of JetStream and repeats them until they are answered: a request or its answer can be
// lost with a server.
package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// VersionKey is where the metadata of a stream say which version of its package made it.
const VersionKey = "tocsin.version"

// VersionError says that a stream was made by a newer version, or by somebody else. It was not changed.
type VersionError struct{ Found string } // "" = it has none

func (e *VersionError) Error() string { return "version " + strconv.Quote(e.Found) + " is not known" }

// EnsureStream makes a stream, or finds it, and updates it unless same says that it is as wanted: an update disturbs a
// stream that is in use, even one that changes nothing. want has its version at VersionKey; a stream of a newer one, or
// without one, is a *VersionError.
func EnsureStream(
	ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, same func(have, want jetstream.StreamConfig) bool,
) (jetstream.Stream, error) {
	find := func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, want.Name) }
	stream, err := Retry(ctx, find)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.CreateStream(ctx, want) })
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return stream, err
		}
		stream, err = Retry(ctx, find) // another process was faster, with another configuration
	}
	if err != nil {
		return nil, err
	}
	have := stream.CachedInfo().Config
	found := have.Metadata[VersionKey]
	latest, _ := strconv.Atoi(want.Metadata[VersionKey])
	if version, err := strconv.Atoi(found); err != nil || version > latest {
		return nil, &VersionError{Found: found}
	}
	if same(have, want) {
		return stream, nil
	}
	return Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.UpdateStream(ctx, want) })
}

// Query names one message of a stream: that with number Seq, the first of a subject from Seq on, or the last of a
// subject. Subjects may have wildcards.
type Query struct {
	Seq    uint64 `json:"seq,omitempty"`
	NextOf string `json:"next_by_subj,omitempty"`
	LastOf string `json:"last_by_subj,omitempty"`
}

// Message reads a message from the leader of the stream. The client's own calls may be answered by a replica that
// does not have the latest yet, or still has what was removed. A message that is not there is
// jetstream.ErrMsgNotFound.
func Message(ctx context.Context, nc *nats.Conn, stream string, q Query) (*jetstream.RawStreamMsg, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := Call(ctx, nc, "STREAM.MSG.GET."+stream, q, &answer); err != nil {
		return nil, err
	}
	if e := answer.Error; e != nil && e.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return nil, jetstream.ErrMsgNotFound
	} else if e != nil {
		return nil, e
	}
	m := answer.Message
	raw := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Seq, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return nil, fmt.Errorf("headers of message %d of stream %s: %w", m.Seq, stream, err)
		}
		raw.Header = header
	}
	return raw, nil
}

// Call makes one request of JetStream's API, nil = an empty one, and reads its answer.
func Call(ctx context.Context, nc *nats.Conn, subject string, request, answer any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	msg, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+subject, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(msg.Data, answer)
}

// Count says how many messages of a stream have a subject that matches filter. The servers send one of the messages
// and the number, whatever the number is. The stream must allow direct reads. Whether there are any is known from
// the leader; how many, from any replica, which can be a moment behind.
func Count(ctx context.Context, nc *nats.Conn, stream, filter string) (int, error) {
	_, err := Retry(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return Message(ctx, nc, stream, Query{Seq: 1, NextOf: filter})
	})
	if IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := Retry(ctx, func(ctx context.Context) (int, error) { return countDirect(ctx, nc, stream, filter) })
	return max(n, 1), err
}

// countDirect reads the number that comes with the first message of a batch of one: how many more there are.
func countDirect(ctx context.Context, nc *nats.Conn, stream, filter string) (int, error) {
	body, err := json.Marshal(map[string]any{"seq": 1, "next_by_subj": filter, "batch": 1})
	if err != nil {
		return 0, err
	}
	msg, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"DIRECT.GET."+stream, body)
	if err != nil {
		return 0, err
	}
	switch status := msg.Header.Get("Status"); status {
	case "":
		more, err := strconv.Atoi(msg.Header.Get("Nats-Num-Pending"))
		if err != nil {
			return 0, fmt.Errorf("stream %s: the answer to a count has no number", stream)
		}
		return more + 1, nil
	case "404":
		return 0, nil
	default:
		return 0, fmt.Errorf("stream %s cannot be counted: status %s", stream, status)
	}
}
