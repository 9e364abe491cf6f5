package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Reader reads messages of a stream that allows direct reads, many with one request. Use NewReader.
type Reader struct {
	nc     *nats.Conn
	stream string

	mu   sync.Mutex
	idle []*inbox
}

// inbox is where answers come. It is used for one request after the other: each subscription is made known to all
// servers.
type inbox struct {
	prefix   string
	answers  *nats.Subscription
	requests int
}

// NewReader returns a reader of the stream.
func NewReader(nc *nats.Conn, stream string) *Reader { return &Reader{nc: nc, stream: stream} }

// Close ends the subscriptions.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.idle {
		_ = in.answers.Unsubscribe()
	}
	r.idle = nil
}

func (r *Reader) take() (*inbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		in := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return in, nil
	}
	prefix := nats.NewInbox() + "."
	answers, err := r.nc.SubscribeSync(prefix + "*")
	return &inbox{prefix: prefix, answers: answers}, err
}

func (r *Reader) giveBack(in *inbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, in)
}

// errTooMany says that more than a thousand subjects match.
var errTooMany = errors.New("too many subjects")

// Next reads up to n messages of a filter, from number from on and in their order, and says how many more there are.
// The time of each is in its header. Any replica may answer: one that is behind has not the latest yet, and has still
// what was removed a moment ago. With wildcards in the filter the server may have to look at all that is stored.
func (r *Reader) Next(ctx context.Context, filter string, from uint64, n int) (msgs []*jetstream.RawStreamMsg, more int, err error) {
	return r.read(ctx, map[string]any{"seq": max(from, 1), "next_by_subj": filter, "batch": n})
}

// Latest reads the last message of each subject of a filter, in their order, and reports false if there are more than a
// thousand subjects. As with Next any replica may answer.
func (r *Reader) Latest(ctx context.Context, filter string) (msgs []*jetstream.RawStreamMsg, few bool, err error) {
	msgs, more, err := r.read(ctx, map[string]any{"multi_last": []string{filter}})
	if errors.Is(err, errTooMany) {
		return nil, false, nil
	}
	return msgs, more == 0, err
}

func (r *Reader) read(ctx context.Context, request map[string]any) (msgs []*jetstream.RawStreamMsg, more int, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	in, err := r.take()
	if err != nil {
		return nil, 0, err
	}
	defer r.giveBack(in)
	in.requests++
	to := in.prefix + strconv.Itoa(in.requests)
	body, err := json.Marshal(request)
	if err != nil {
		return nil, 0, err
	}
	if err := r.nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+r.stream, to, body); err != nil {
		return nil, 0, err
	}
	for last := uint64(0); ; {
		m, err := in.answers.NextMsgWithContext(ctx)
		if err != nil {
			return msgs, 1, err
		}
		if m.Subject != to { // to an earlier request, that was not waited for any more
			continue
		}
		const end = "204"
		status := m.Header.Get("Status")
		switch status {
		case "", end:
		case "404":
			return msgs, 0, nil
		case "413":
			return msgs, 1, errTooMany
		case strconv.Itoa(Unavailable): // nobody answers
			return msgs, 1, nats.ErrNoResponders
		default:
			return msgs, 1, fmt.Errorf("stream %s cannot be read: status %s", r.stream, status)
		}
		// Each answer names the message before it, so none is missed when one is lost.
		if before, err := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64); err != nil || before != last {
			return msgs, 1, err
		}
		if status == end {
			more, err := strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
			return msgs, more, err
		}
		if last, err = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
			return msgs, 1, fmt.Errorf("stream %s: a message without its number", r.stream)
		}
		subject := m.Header.Get(jetstream.SubjectHeader)
		msgs = append(msgs, &jetstream.RawStreamMsg{Subject: subject, Sequence: last, Header: m.Header, Data: m.Data})
	}
}

// Exist asks the leader of the stream which of some messages are there, all at once.
func (r *Reader) Exist(ctx context.Context, seqs []uint64) (map[uint64]bool, error) {
	there := make(map[uint64]bool, len(seqs))
	if len(seqs) == 0 {
		return there, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	in, err := r.take()
	if err != nil {
		return nil, err
	}
	defer r.giveBack(in)
	asked := make(map[string]uint64, len(seqs))
	for _, seq := range seqs {
		in.requests++
		to := in.prefix + strconv.Itoa(in.requests)
		asked[to] = seq
		body := append(strconv.AppendUint([]byte(`{"no_hdr":true,"seq":`), seq, 10), '}')
		if err := r.nc.PublishRequest(jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+r.stream, to, body); err != nil {
			return nil, err
		}
	}
	for len(asked) > 0 {
		m, err := in.answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		seq, ok := asked[m.Subject]
		if !ok {
			continue
		}
		delete(asked, m.Subject)
		if m.Header.Get("Status") == strconv.Itoa(Unavailable) {
			return nil, nats.ErrNoResponders
		}
		var answer struct {
			Error *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return nil, err
		}
		switch e := answer.Error; {
		case e == nil:
			there[seq] = true
		case e.ErrorCode != jetstream.JSErrCodeMessageNotFound:
			return nil, e
		}
	}
	return there, nil
}
