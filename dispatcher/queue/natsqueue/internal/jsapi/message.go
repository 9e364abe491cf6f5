package jsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

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
